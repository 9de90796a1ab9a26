import {
  type Cluster,
  durationMs,
  type Http1ProtocolOptions,
  Http1ProtocolOptionsSchema,
  type HttpFilter,
  HttpProtocolOptionsSchema,
  resolveExtension,
} from '@dragoman/api';
import {
  atPath,
  type ExtensionRegistry,
  type FactoryContext,
  type ProblemCollector,
  readHeaderLimits,
  refuseUnsupported,
} from '@dragoman/core';
import type { ClientCodecSettings } from '../pool/pool-options.ts';
import { type Http2Settings, readHttp2Settings } from './http2-settings.ts';
import { type ProtocolChoice, readProtocolOptions } from './protocol-choice.ts';
import { readServerNames, type ServerNameSettings } from './server-names.ts';

/** What the connections of a cluster's HTTP pools keep to. */
export interface HttpSettings {
  /** `idle_timeout`, ms; 0: none. Default 1 h. */
  readonly idleTimeoutMs: number;
  /** `max_connection_duration`, ms; 0: none. */
  readonly maxConnectionDurationMs: number;
  /** `max_requests_per_connection`; 0: no limit. */
  readonly maxRequestsPerConnection: number;
  /** `max_stream_duration`, ms; 0: none. */
  readonly maxStreamDurationMs: number;
  readonly protocol: ProtocolChoice;
  /** One object for all HTTP/1.1 connections of the cluster. */
  readonly codec: ClientCodecSettings;
  /** Undefined for a cluster that never speaks HTTP/2. */
  readonly http2: Http2Settings | undefined;
  /** `upstream_http_protocol_options`. */
  readonly serverNames: ServerNameSettings;
  /** `http_filters`; empty for none. */
  readonly filters: readonly HttpFilter[];
  readonly filtersPath: string;
  /** Where {@link protocol} was chosen, for errors. */
  readonly protocolPath: string;
}

const DEFAULT_IDLE_TIMEOUT_MS = 3_600_000;

const COMMON_FIELDS = new Set([
  'idle_timeout',
  'max_connection_duration',
  'max_headers_count',
  'max_response_headers_kb',
  'max_stream_duration',
  'max_requests_per_connection',
]);
/** The last two choose a parser in Envoy and what only servers do; they mean nothing for our client codec. */
const HTTP1_FIELDS = new Set([
  'enable_trailers',
  'allow_chunked_length',
  'header_key_format',
  'send_fully_qualified_url',
  'use_balsa_parser',
  'allow_absolute_url',
]);

/** Reads `typed_extension_protocol_options`, or the deprecated fields of the cluster itself when it has none. */
export function readHttpOptions(
  cluster: Cluster,
  problems: ProblemCollector,
  registry: ExtensionRegistry,
  context: FactoryContext,
): HttpSettings {
  const options = readProtocolOptions(cluster, problems);
  const { choice, common, http1, http2, upstream } = options;
  const { message } = common;
  if (message !== undefined)
    problems.try(common.path, () => refuseUnsupported(message, HttpProtocolOptionsSchema, COMMON_FIELDS));
  const http1Options = http1.message;
  if (http1Options !== undefined)
    problems.try(http1.path, () => refuseUnsupported(http1Options, Http1ProtocolOptionsSchema, HTTP1_FIELDS));
  const names = problems.try(`${http1.path}.header_key_format`, () =>
    readKeyFormat(http1Options, registry, context),
  );
  const http2Settings = problems.try(http2.path, () =>
    choice === 'http1' ? undefined : readHttp2Settings(http2.message),
  );
  const serverNames = problems.try(upstream.path, () => readServerNames(upstream.message));
  return {
    idleTimeoutMs: durationMs(message?.idleTimeout) ?? DEFAULT_IDLE_TIMEOUT_MS,
    maxConnectionDurationMs: durationMs(message?.maxConnectionDuration) ?? 0,
    maxRequestsPerConnection: message?.maxRequestsPerConnection ?? cluster.maxRequestsPerConnection ?? 0,
    maxStreamDurationMs: durationMs(message?.maxStreamDuration) ?? 0,
    protocol: choice,
    protocolPath: options.choicePath,
    codec: {
      ...readHeaderLimits(
        'response',
        message?.maxResponseHeadersKb,
        message?.maxHeadersCount,
        context.runtime,
      ),
      enableTrailers: http1Options?.enableTrailers ?? false,
      allowChunkedLength: http1Options?.allowChunkedLength ?? false,
      headerKeyFormat: names?.format ?? 'default',
      ...(names?.formatter === undefined ? undefined : { headerFormatter: names.formatter }),
      sendFullyQualifiedUrl: http1Options?.sendFullyQualifiedUrl ?? false,
    },
    http2: http2Settings,
    serverNames: serverNames as ServerNameSettings,
    filters: options.filters,
    filtersPath: options.filtersPath,
  };
}

/** How the names of requests are written, and what keeps those of responses. */
interface NameSettings {
  readonly format: ClientCodecSettings['headerKeyFormat'];
  readonly formatter?: ClientCodecSettings['headerFormatter'];
}

function readKeyFormat(
  http1: Http1ProtocolOptions | undefined,
  registry: ExtensionRegistry,
  context: FactoryContext,
): NameSettings {
  const format = http1?.headerKeyFormat?.headerFormat;
  if (format?.case === 'properCaseWords') return { format: 'proper_case_words' };
  if (format?.case !== 'statefulFormatter') return { format: 'default' };
  const { name, typedConfig } = format.value;
  const path = 'stateful_formatter.typed_config';
  const { extension, message } = resolveExtension(registry, 'header-formatters', name, typedConfig, path);
  return { format: 'default', formatter: atPath(path, () => extension.create(message, context)) };
}
