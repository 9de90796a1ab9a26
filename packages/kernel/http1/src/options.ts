import type { HeaderNameFormatter } from '@dragoman/core';

/** How names of headers are written (Envoy: `header_key_format`). */
export type HeaderKeyFormat = 'default' | 'proper_case_words';

/** What both sides share. Defaults are Envoy's. */
export interface Http1CommonOptions {
  /** Bytes of a head, start line included; trailers have the same limit apart. Default 61,440 (60 KiB), at most 8 MiB (Envoy: `max_request_headers_kb`, `max_response_headers_kb`). */
  readonly maxHeaderBytes?: number;
  /** Header lines of a head; trailers likewise. Default 100 (Envoy: `common_http_protocol_options.max_headers_count`). */
  readonly maxHeaderCount?: number;
  /** Lets a message have both Content-Length and `Transfer-Encoding: chunked`: the length is dropped and the connection not used again. Default false (Envoy: `allow_chunked_length`). */
  readonly allowChunkedLength?: boolean;
  /** Passes trailers on, both ways. Default false: they are read, checked and dropped (Envoy: `enable_trailers`). */
  readonly enableTrailers?: boolean;
  /** Default `default`: lower case (Envoy: `header_key_format`). */
  readonly headerKeyFormat?: HeaderKeyFormat;
  /**
   * Makes what spells the names of a message that is read here, wherever it goes on to; it goes before {@link headerKeyFormat}
   * of who writes it. Default none (Envoy: `header_key_format.stateful_formatter`).
   */
  readonly headerFormatter?: () => HeaderNameFormatter | undefined;
  /** Bytes of chunk extensions of one body. Default 16,384. */
  readonly maxChunkExtensionBytes?: number;
}

export interface Http1ServerOptions extends Http1CommonOptions {
  /** Takes HTTP/1.0 requests; otherwise they get 426. Default false (Envoy: `accept_http_10`). */
  readonly acceptHttp10?: boolean;
  /** The authority of an HTTP/1.0 request without Host. Default empty: such a request gets 400 (Envoy: `default_host_for_http_10`). */
  readonly defaultHostForHttp10?: string;
  /** Takes absolute-form targets; otherwise they get 404. Default true (Envoy: `allow_absolute_url`). */
  readonly allowAbsoluteUrl?: boolean;
  /** Takes any token as method, not just the registered ones. Default false (Envoy: `allow_custom_methods`). */
  readonly allowCustomMethods?: boolean;
  /** Whether a value of Upgrade is taken for none. Default: `h2c` is, and no other (Envoy: `ignore_http_11_upgrade`). */
  readonly ignoreUpgrade?: (value: string) => boolean;
  /** What becomes of header names with an underscore. Default `allow` (Envoy: `headers_with_underscores_action`). */
  readonly headersWithUnderscores?: 'allow' | 'reject' | 'drop';
  /** Counts them (`requests_rejected_with_underscores_in_headers`, `dropped_headers_with_underscores`). */
  readonly onUnderscore?: (action: 'reject' | 'drop') => void;
  /** Bytes of a request that are read and thrown away when its response is complete before it, so that the connection can be used again. Default 65,536; 0 closes instead. */
  readonly maxDrainBytes?: number;
}

export interface Http1ClientOptions extends Http1CommonOptions {
  /** Writes absolute-form targets (`GET http://host/path`). Default false (Envoy: `send_fully_qualified_url`). */
  readonly sendFullyQualifiedUrl?: boolean;
  /** 1xx responses before the final one; more is a protocol error. Default 16. */
  readonly maxInformational?: number;
}

const DEFAULT_HEADER_BYTES = 60 * 1024;
const DEFAULT_HEADER_COUNT = 100;
const DEFAULT_CHUNK_EXTENSION_BYTES = 16 * 1024;
const DEFAULT_DRAIN_BYTES = 64 * 1024;
const DEFAULT_INFORMATIONAL = 16;

const noCount = (): void => {};
const noFormatter = (): undefined => undefined;
const ignoreNone = (): boolean => false;

function common(options: Http1CommonOptions): Required<Http1CommonOptions> {
  return {
    maxHeaderBytes: options.maxHeaderBytes ?? DEFAULT_HEADER_BYTES,
    maxHeaderCount: options.maxHeaderCount ?? DEFAULT_HEADER_COUNT,
    allowChunkedLength: options.allowChunkedLength ?? false,
    enableTrailers: options.enableTrailers ?? false,
    headerKeyFormat: options.headerKeyFormat ?? 'default',
    headerFormatter: options.headerFormatter ?? noFormatter,
    maxChunkExtensionBytes: options.maxChunkExtensionBytes ?? DEFAULT_CHUNK_EXTENSION_BYTES,
  };
}

const serverCache = new WeakMap<Http1ServerOptions, Required<Http1ServerOptions>>();
const clientCache = new WeakMap<Http1ClientOptions, Required<Http1ClientOptions>>();

/** Options with their defaults; once for each options object, however many connections share it. */
export function serverOptions(options: Http1ServerOptions): Required<Http1ServerOptions> {
  let full = serverCache.get(options);
  if (full === undefined) {
    full = {
      ...common(options),
      acceptHttp10: options.acceptHttp10 ?? false,
      defaultHostForHttp10: options.defaultHostForHttp10 ?? '',
      allowAbsoluteUrl: options.allowAbsoluteUrl ?? true,
      allowCustomMethods: options.allowCustomMethods ?? false,
      ignoreUpgrade: options.ignoreUpgrade ?? ignoreNone,
      headersWithUnderscores: options.headersWithUnderscores ?? 'allow',
      onUnderscore: options.onUnderscore ?? noCount,
      maxDrainBytes: options.maxDrainBytes ?? DEFAULT_DRAIN_BYTES,
    };
    serverCache.set(options, full);
  }
  return full;
}

/** {@link serverOptions} of the client side. */
export function clientOptions(options: Http1ClientOptions): Required<Http1ClientOptions> {
  let full = clientCache.get(options);
  if (full === undefined) {
    full = {
      ...common(options),
      sendFullyQualifiedUrl: options.sendFullyQualifiedUrl ?? false,
      maxInformational: options.maxInformational ?? DEFAULT_INFORMATIONAL,
    };
    clientCache.set(options, full);
  }
  return full;
}
