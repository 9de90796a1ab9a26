import {
  durationMs,
  type Http1ProtocolOptions,
  Http1ProtocolOptionsSchema,
  type HttpConnectionManager,
  HttpConnectionManagerSchema,
  type HttpProtocolOptions,
  HttpProtocolOptionsSchema,
  resolveExtension,
} from '@dragoman/api';
import {
  atPath,
  ConfigError,
  defineNetworkFilter,
  type HttpFilterContext,
  type ListenerFactoryContext,
  ProblemCollector,
  refuseUnsupported,
  type RequestIds,
  type RouteTable,
} from '@dragoman/core';
import type { Http1ServerOptions } from '@dragoman/http1';
import { compileRequestMutation, compileResponseMutation } from '../headers/index.ts';
import { compileHostPolicy, compilePathPolicy, escapedSlashesAction } from '../path/index.ts';
import { compileRouteTable, compileScopedRoutes } from '../routes/index.ts';
import { compileFilterChain, perFilterConfigResolver } from './compile-filters.ts';
import type { ConnectionManagerConfig } from './config.ts';
import { HttpConnection } from './http-connection.ts';
import { createStats } from './stats.ts';

/** Envoy's defaults. */
const DEFAULT_STREAM_IDLE_MS = 300_000;
const DEFAULT_IDLE_MS = 3_600_000;
const DEFAULT_DELAYED_CLOSE_MS = 1000;
const DEFAULT_REQUEST_HEADERS_KB = 60;
const DEFAULT_SERVER_NAME = 'envoy';
const DEFAULT_REQUEST_ID = 'envoy.request_id.uuid';

const SUPPORTED = new Set([
  'codec_type',
  'stat_prefix',
  'route_config',
  'scoped_routes',
  'http_filters',
  'add_user_agent',
  'common_http_protocol_options',
  'http_protocol_options',
  'server_name',
  'server_header_transformation',
  'scheme_header_transformation',
  'max_request_headers_kb',
  'stream_idle_timeout',
  'request_timeout',
  'request_headers_timeout',
  'delayed_close_timeout',
  'drain_timeout',
  'access_log',
  'use_remote_address',
  'xff_num_trusted_hops',
  'original_ip_detection_extensions',
  'internal_address_config',
  'skip_xff_append',
  'via',
  'generate_request_id',
  'preserve_external_request_id',
  'always_set_request_id_in_response',
  'forward_client_cert_details',
  'set_current_client_cert_details',
  'proxy_100_continue',
  'normalize_path',
  'merge_slashes',
  'path_with_escaped_slashes_action',
  'request_id_extension',
  'strip_matching_host_port',
  'strip_any_host_port',
  'strip_trailing_host_dot',
  'append_x_forwarded_port',
]);

const REASONS = {
  rds: 'routes from a management server are not supported yet; write route_config',
  http2_protocol_options:
    'HTTP/2 is not supported yet; remove http2_protocol_options (with codec_type AUTO, HTTP/1.1 is served)',
  http3_protocol_options: 'HTTP/3 is not supported yet; remove http3_protocol_options',
  tracing: 'tracing is not supported yet; remove tracing',
  upgrade_configs: 'upgrades (WebSocket, CONNECT) are not supported yet; remove upgrade_configs',
  local_reply_config: 'local_reply_config is not supported yet; remove it',
};

const COMMON_SUPPORTED = new Set([
  'idle_timeout',
  'max_connection_duration',
  'max_headers_count',
  'max_stream_duration',
  'headers_with_underscores_action',
  'max_requests_per_connection',
]);

const HTTP1_SUPPORTED = new Set([
  'allow_absolute_url',
  'accept_http_10',
  'default_host_for_http_10',
  'header_key_format',
  'enable_trailers',
  'allow_chunked_length',
  'allow_custom_methods',
]);

/** Numbers of the API's enums, by their names there. */
const CODEC_NAMES = ['AUTO', 'HTTP1', 'HTTP2', 'HTTP3'];
const SERVER_HEADER = ['overwrite', 'append-if-absent', 'pass-through'] as const;
const UNDERSCORES = ['allow', 'reject', 'drop'] as const;

/** `envoy.filters.network.http_connection_manager`: turns bytes into requests and runs the HTTP filters. */
export const httpConnectionManager = defineNetworkFilter({
  name: 'envoy.filters.network.http_connection_manager',
  config: HttpConnectionManagerSchema,
  terminal: true,
  create(config, context) {
    const compiled = compileConnectionManager(config, context);
    return ({ connection }) => new HttpConnection(compiled, connection);
  },
});

/** What of a config is refused by name. */
function checkFields(config: HttpConnectionManager, problems: ProblemCollector): void {
  problems.try('', () => refuseUnsupported(config, HttpConnectionManagerSchema, SUPPORTED, '', REASONS));
  if (config.codecType > 1)
    problems.add('codec_type', `${CODEC_NAMES[config.codecType]} is not supported yet; use AUTO or HTTP1`);
  const common = config.commonHttpProtocolOptions;
  if (common === undefined) return;
  problems.try('common_http_protocol_options', () =>
    refuseUnsupported(common, HttpProtocolOptionsSchema, COMMON_SUPPORTED),
  );
}

/** The parts of a config that can be wrong. @throws ConfigError with every problem, not only the first */
function compileParts(config: HttpConnectionManager, context: ListenerFactoryContext) {
  const filterContext: HttpFilterContext = { ...context, statPrefix: `http.${config.statPrefix}.` };
  const problems = new ProblemCollector();
  checkFields(config, problems);
  const routes =
    config.routeSpecifier.case === 'rds'
      ? undefined
      : problems.try('', () => compileRoutes(config, filterContext));
  const chain = problems.try('', () => compileFilterChain(config.httpFilters, filterContext));
  const accessLogs = problems.try('access_log', () => context.accessLoggers(config.accessLog));
  const http1 = problems.try('', () => compileHttp1Options(config, context));
  const requestIds = problems.try('', () => createRequestIds(config, context));
  const mutateRequest =
    requestIds === undefined
      ? undefined
      : problems.try('', () => compileMutation(config, context, requestIds));
  problems.throwIfAny();
  return { routes, chain, accessLogs, http1, requestIds, mutateRequest } as {
    readonly routes: RouteTable;
    readonly chain: ConnectionManagerConfig['chain'];
    readonly accessLogs: ConnectionManagerConfig['accessLogs'];
    readonly http1: Http1ServerOptions;
    readonly requestIds: RequestIds;
    readonly mutateRequest: ConnectionManagerConfig['mutateRequest'];
  };
}

/** @throws ConfigError with every problem, paths below the message */
export function compileConnectionManager(
  config: HttpConnectionManager,
  context: ListenerFactoryContext,
): ConnectionManagerConfig {
  const { routes, chain, accessLogs, http1, requestIds, mutateRequest } = compileParts(config, context);
  warnOfIdleFields(config, context);
  const common = config.commonHttpProtocolOptions;
  return {
    statPrefix: config.statPrefix,
    clock: context.clock,
    random: context.random,
    logger: context.loggers.logger('http'),
    drain: context.drain,
    stats: createStats(context.stats, context.listenerScope, config.statPrefix),
    accessLogs,
    routes,
    chain,
    http1,
    mutateRequest,
    mutateResponse: compileResponseMutation({
      serverName: config.serverName === '' ? DEFAULT_SERVER_NAME : config.serverName,
      serverHeader: SERVER_HEADER[config.serverHeaderTransformation] ?? 'overwrite',
      via: config.via,
      alwaysSetRequestId: config.alwaysSetRequestIdInResponse,
      requestIds,
      clock: context.clock,
    }),
    checkPath: compilePathPolicy({
      normalize:
        config.normalizePath ?? context.runtime.getBoolean('http_connection_manager.normalize_path', false),
      mergeSlashes: config.mergeSlashes,
      escapedSlashes: escapedSlashesAction(config.pathWithEscapedSlashesAction),
    }),
    rewriteHost: compileHostPolicy({
      stripPort:
        config.stripPortMode.case === 'stripAnyHostPort' && config.stripPortMode.value
          ? 'any'
          : config.stripMatchingHostPort
            ? 'matching'
            : 'no',
      stripTrailingDot: config.stripTrailingHostDot,
    }),
    requestTimeoutMs: ms(config.requestTimeout, 0),
    requestHeadersTimeoutMs: ms(config.requestHeadersTimeout, 0),
    streamIdleTimeoutMs: ms(config.streamIdleTimeout, DEFAULT_STREAM_IDLE_MS),
    maxStreamDurationMs: ms(common?.maxStreamDuration, 0),
    idleTimeoutMs: ms(common?.idleTimeout, DEFAULT_IDLE_MS),
    maxConnectionDurationMs: ms(common?.maxConnectionDuration, 0),
    maxRequestsPerConnection: common?.maxRequestsPerConnection ?? 0,
    delayedCloseMs: ms(config.delayedCloseTimeout, DEFAULT_DELAYED_CLOSE_MS),
    proxy100Continue: config.proxy100Continue,
    bufferLimitBytes: context.perConnectionBufferLimitBytes,
  };
}

function ms(duration: Parameters<typeof durationMs>[0] | undefined, fallback: number): number {
  return duration === undefined ? fallback : durationMs(duration);
}

/** Fields that mean nothing on plaintext HTTP/1.1: accepted, since leaving them out changes nothing. */
function warnOfIdleFields(config: HttpConnectionManager, context: ListenerFactoryContext): void {
  if (config.drainTimeout !== undefined) {
    context.warn(
      'http_connection_manager.drain_timeout',
      'has no effect on HTTP/1.1: a draining connection ends with its response',
    );
  }
  if (config.setCurrentClientCertDetails !== undefined) {
    context.warn(
      'http_connection_manager.set_current_client_cert_details',
      'has no effect without TLS: x-forwarded-client-cert is removed from plaintext requests',
    );
  }
}

function compileRoutes(config: HttpConnectionManager, context: HttpFilterContext): RouteTable {
  const options = { context, perFilterConfig: perFilterConfigResolver(config.httpFilters, context) };
  const specifier = config.routeSpecifier;
  switch (specifier.case) {
    case 'routeConfig':
      return compileRouteTable(specifier.value, { ...options, path: 'route_config' });
    case 'scopedRoutes':
      return atPath('scoped_routes', () => compileScopedRoutes(specifier.value, options));
    default:
      throw ConfigError.at('route_config', 'a route configuration is required');
  }
}

function createRequestIds(config: HttpConnectionManager, context: ListenerFactoryContext): RequestIds {
  const given = config.requestIdExtension?.typedConfig;
  const path = 'request_id_extension.typed_config';
  const { extension, message } = resolveExtension(
    context.extensions,
    'request-ids',
    DEFAULT_REQUEST_ID,
    given,
    path,
  );
  return atPath(path, () => extension.create(message, context));
}

function compileMutation(
  config: HttpConnectionManager,
  context: ListenerFactoryContext,
  requestIds: RequestIds,
): ConnectionManagerConfig['mutateRequest'] {
  const scheme = config.schemeHeaderTransformation?.transformation;
  return compileRequestMutation({
    useRemoteAddress: config.useRemoteAddress ?? false,
    xffNumTrustedHops: config.xffNumTrustedHops,
    skipXffAppend: config.skipXffAppend,
    appendXForwardedPort: config.appendXForwardedPort,
    internalAddresses:
      config.internalAddressConfig === undefined
        ? undefined
        : {
            unixSockets: config.internalAddressConfig.unixSockets,
            cidrRanges: config.internalAddressConfig.cidrRanges.map(({ addressPrefix, prefixLen }) => ({
              addressPrefix,
              prefixLength: prefixLen ?? 0,
            })),
          },
    via: config.via,
    userAgent: config.addUserAgent === true ? context.localInfo.cluster : undefined,
    generateRequestId: config.generateRequestId ?? true,
    preserveExternalRequestId: config.preserveExternalRequestId,
    schemeToOverwrite: scheme?.case === 'schemeToOverwrite' ? (scheme.value as 'http' | 'https') : undefined,
    // Without TLS there is no client certificate to append or set: APPEND_FORWARD and SANITIZE_SET remove what came, as in Envoy.
    forwardClientCert:
      config.forwardClientCertDetails === 4
        ? 'always-forward-only'
        : config.forwardClientCertDetails === 1
          ? 'forward-only'
          : 'sanitize',
    originalIpDetection: config.originalIpDetectionExtensions.map((extension, i) => {
      const path = `original_ip_detection_extensions[${i}].typed_config`;
      const found = resolveExtension(
        context.extensions,
        'original-ip-detection',
        extension.name,
        extension.typedConfig,
        path,
      );
      return atPath(path, () => found.extension.create(found.message, context));
    }),
    requestIds,
    localInfo: context.localInfo,
  });
}

function compileHttp1Options(
  config: HttpConnectionManager,
  context: ListenerFactoryContext,
): Http1ServerOptions {
  const common: HttpProtocolOptions | undefined = config.commonHttpProtocolOptions;
  const http1: Http1ProtocolOptions | undefined = config.httpProtocolOptions;
  if (http1 !== undefined)
    refuseUnsupported(http1, Http1ProtocolOptionsSchema, HTTP1_SUPPORTED, 'http_protocol_options');
  const scope = context.stats.scope('http1');
  const dropped = scope.counter('dropped_headers_with_underscores');
  const rejected = scope.counter('requests_rejected_with_underscores_in_headers');
  scope.counter('metadata_not_supported_error');
  scope.counter('response_flood');
  return {
    maxHeaderBytes: (config.maxRequestHeadersKb ?? DEFAULT_REQUEST_HEADERS_KB) * 1024,
    maxHeaderCount: common?.maxHeadersCount ?? 100,
    acceptHttp10: http1?.acceptHttp10 ?? false,
    defaultHostForHttp10: http1?.defaultHostForHttp10 ?? '',
    allowAbsoluteUrl: http1?.allowAbsoluteUrl ?? true,
    enableTrailers: http1?.enableTrailers ?? false,
    allowChunkedLength: http1?.allowChunkedLength ?? false,
    allowCustomMethods: http1?.allowCustomMethods ?? false,
    headerKeyFormat: readKeyFormat(http1),
    headersWithUnderscores: UNDERSCORES[common?.headersWithUnderscoresAction ?? 0] ?? 'allow',
    onUnderscore: (action) => (action === 'drop' ? dropped : rejected).inc(),
  };
}

function readKeyFormat(http1: Http1ProtocolOptions | undefined): 'default' | 'proper_case_words' {
  const format = http1?.headerKeyFormat?.headerFormat;
  if (format?.case === undefined) return 'default';
  if (format.case === 'properCaseWords') return 'proper_case_words';
  throw ConfigError.at(
    'http_protocol_options.header_key_format.stateful_formatter',
    'stateful formatters (preserve_case) are not supported yet; use proper_case_words or remove it',
  );
}
