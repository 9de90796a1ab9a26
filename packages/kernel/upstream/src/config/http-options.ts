import {
  type Cluster,
  durationMs,
  type Http1ProtocolOptions,
  Http1ProtocolOptionsSchema,
  type HttpProtocolOptions,
  HttpProtocolOptionsSchema,
  resolveExtension,
  unpackAny,
  type UpstreamsHttpProtocolOptions,
  UpstreamsHttpProtocolOptions_ExplicitHttpConfigSchema,
  UpstreamsHttpProtocolOptionsSchema,
} from '@dragoman/api';
import {
  atPath,
  ConfigError,
  type ExtensionRegistry,
  type FactoryContext,
  type ProblemCollector,
  refuseUnsupported,
} from '@dragoman/core';
import type { ClientCodecSettings } from '../pool/pool-options.ts';

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
  /** One object for all connections of the cluster. */
  readonly codec: ClientCodecSettings;
}

const DEFAULT_IDLE_TIMEOUT_MS = 3_600_000;
const DEFAULT_MAX_HEADERS = 100;
const DEFAULT_MAX_HEADERS_BYTES = 60 * 1024;

const OPTIONS_KEY = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const COMMON_FIELDS = new Set([
  'idle_timeout',
  'max_connection_duration',
  'max_headers_count',
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
const TYPED_FIELDS = new Set([
  'common_http_protocol_options',
  'explicit_http_config',
  'use_downstream_protocol_config',
  'auto_config',
]);
const EXPLICIT_FIELDS = new Set(['http_protocol_options']);

const HTTP2 = 'HTTP/2 to upstreams is not built yet; use http_protocol_options';
const HTTP3 = 'HTTP/3 to upstreams is not built; use http_protocol_options';

/** Reads `typed_extension_protocol_options`, or the deprecated fields of the cluster itself when it has none. */
export function readHttpOptions(
  cluster: Cluster,
  problems: ProblemCollector,
  registry: ExtensionRegistry,
  context: FactoryContext,
): HttpSettings {
  const typed = readTyped(cluster, problems);
  const common = typed === undefined ? cluster.commonHttpProtocolOptions : typed.common;
  const http1 = typed === undefined ? cluster.httpProtocolOptions : typed.http1;
  if (common !== undefined)
    problems.try(typed === undefined ? 'common_http_protocol_options' : typed.commonPath, () =>
      refuseUnsupported(common, HttpProtocolOptionsSchema, COMMON_FIELDS),
    );
  const http1Path = typed === undefined ? 'http_protocol_options' : typed.http1Path;
  if (http1 !== undefined)
    problems.try(http1Path, () => refuseUnsupported(http1, Http1ProtocolOptionsSchema, HTTP1_FIELDS));
  const names = problems.try(`${http1Path}.header_key_format`, () => readKeyFormat(http1, registry, context));
  return {
    idleTimeoutMs: durationMs(common?.idleTimeout) ?? DEFAULT_IDLE_TIMEOUT_MS,
    maxConnectionDurationMs: durationMs(common?.maxConnectionDuration) ?? 0,
    maxRequestsPerConnection: common?.maxRequestsPerConnection ?? cluster.maxRequestsPerConnection ?? 0,
    maxStreamDurationMs: durationMs(common?.maxStreamDuration) ?? 0,
    codec: {
      maxHeaderBytes: DEFAULT_MAX_HEADERS_BYTES,
      maxHeaderCount: common?.maxHeadersCount ?? DEFAULT_MAX_HEADERS,
      enableTrailers: http1?.enableTrailers ?? false,
      allowChunkedLength: http1?.allowChunkedLength ?? false,
      headerKeyFormat: names?.format ?? 'default',
      ...(names?.formatter === undefined ? undefined : { headerFormatter: names.formatter }),
      sendFullyQualifiedUrl: http1?.sendFullyQualifiedUrl ?? false,
    },
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

interface TypedOptions {
  readonly common: HttpProtocolOptions | undefined;
  readonly commonPath: string;
  readonly http1: Http1ProtocolOptions | undefined;
  readonly http1Path: string;
}

function readTyped(cluster: Cluster, problems: ProblemCollector): TypedOptions | undefined {
  let found: TypedOptions | undefined;
  for (const [key, any] of Object.entries(cluster.typedExtensionProtocolOptions)) {
    const path = `typed_extension_protocol_options["${key}"]`;
    problems.try(path, () => {
      const message = unpackAny(any);
      if (key !== OPTIONS_KEY || message?.$typeName !== UpstreamsHttpProtocolOptionsSchema.typeName)
        throw ConfigError.at('', `only ${OPTIONS_KEY} is known here`);
      found = readOptions(message as UpstreamsHttpProtocolOptions, path);
    });
  }
  return found;
}

function readOptions(options: UpstreamsHttpProtocolOptions, path: string): TypedOptions {
  refuseUnsupported(options, UpstreamsHttpProtocolOptionsSchema, TYPED_FIELDS, '', {
    http_filters: 'filters on the upstream side are not built yet',
    upstream_http_protocol_options: 'TLS server names from requests (auto_sni) are not built yet',
  });
  const { upstreamProtocolOptions } = options;
  switch (upstreamProtocolOptions.case) {
    case 'autoConfig':
      throw ConfigError.at(
        'auto_config',
        'choosing a protocol by ALPN is not built yet; use explicit_http_config',
      );
    case 'useDownstreamProtocolConfig':
      throw ConfigError.at(
        'use_downstream_protocol_config',
        'using the protocol of the downstream side is not built yet; use explicit_http_config',
      );
    case 'explicitHttpConfig':
      refuseUnsupported(
        upstreamProtocolOptions.value,
        UpstreamsHttpProtocolOptions_ExplicitHttpConfigSchema,
        EXPLICIT_FIELDS,
        'explicit_http_config',
        { http2_protocol_options: HTTP2, http3_protocol_options: HTTP3 },
      );
      break;
    default:
      break;
  }
  const explicit =
    upstreamProtocolOptions.case === 'explicitHttpConfig' ? upstreamProtocolOptions.value : undefined;
  return {
    common: options.commonHttpProtocolOptions,
    commonPath: `${path}.common_http_protocol_options`,
    http1:
      explicit?.protocolConfig.case === 'httpProtocolOptions' ? explicit.protocolConfig.value : undefined,
    http1Path: `${path}.explicit_http_config.http_protocol_options`,
  };
}
