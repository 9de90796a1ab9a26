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
  defineNetworkFilter,
  type HttpFilterContext,
  type ListenerFactoryContext,
  ProblemCollector,
  type RequestIds,
  refuseUnsupported,
} from '@dragoman/core';
import type { Http1ServerOptions } from '@dragoman/http1';
import type { Http2ServerOptions } from '@dragoman/http2';
import {
  compileProxyStatus,
  compileRequestMutation,
  compileResponseMutation,
  type SetProxyStatus,
} from '../headers/index.ts';
import { compileHostPolicy, compilePathPolicy } from '../path/index.ts';
import { compileAccessLogTimes } from './access-log-options.ts';
import { compileClientCertRules } from './client-cert-config.ts';
import { compileFilterChain } from './compile-filters.ts';
import { compileRoutes } from './compile-routes.ts';
import type { CodecType, ConnectionManagerConfig } from './config.ts';
import { HttpConnection } from './http-connection.ts';
import { compileLocalReplies } from './local-reply-config.ts';
import { readNameOptions } from './name-options.ts';
import { compileHttp2Options } from './http2-options.ts';
import { compileOverload } from './overload.ts';
import { readRequestLimits, readPathPolicy } from './runtime-defaults.ts';
import { createStats } from './stats.ts';
import { compileUpgrades } from './upgrades.ts';

/** Envoy's defaults. */
const DEFAULT_STREAM_IDLE_MS = 300_000;
const DEFAULT_IDLE_MS = 3_600_000;
const DEFAULT_DELAYED_CLOSE_MS = 1000;
const DEFAULT_DRAIN_MS = 5000;
const DEFAULT_SERVER_NAME = 'envoy';
const DEFAULT_REQUEST_ID = 'envoy.request_id.uuid';

const SUPPORTED = new Set([
  'codec_type',
  'stat_prefix',
  'route_config',
  'rds',
  'scoped_routes',
  'http_filters',
  'add_user_agent',
  'common_http_protocol_options',
  'http_protocol_options',
  'http2_protocol_options',
  'server_name',
  'server_header_transformation',
  'scheme_header_transformation',
  'max_request_headers_kb',
  'stream_idle_timeout',
  'request_timeout',
  'request_headers_timeout',
  'delayed_close_timeout',
  'drain_timeout',
  'drain_timeout_jitter',
  'http1_safe_max_connection_duration',
  'access_log',
  'use_remote_address',
  'xff_num_trusted_hops',
  'original_ip_detection_extensions',
  'early_header_mutation_extensions',
  'internal_address_config',
  'skip_xff_append',
  'via',
  'generate_request_id',
  'preserve_external_request_id',
  'always_set_request_id_in_response',
  'forward_client_cert_details',
  'set_current_client_cert_details',
  'forward_client_cert_matcher',
  'proxy_100_continue',
  'normalize_path',
  'merge_slashes',
  'path_with_escaped_slashes_action',
  'request_id_extension',
  'strip_matching_host_port',
  'strip_any_host_port',
  'strip_trailing_host_dot',
  'append_x_forwarded_port',
  'upgrade_configs',
  'local_reply_config',
  'access_log_options',
  'access_log_flush_interval',
  'flush_access_log_on_new_request',
  'proxy_status_config',
  'stream_error_on_invalid_http_message',
  'stream_flush_timeout',
  'add_proxy_protocol_connection_state',
  'append_local_overload',
]);

const REASONS = {
  http3_protocol_options: 'HTTP/3 is not supported yet; remove http3_protocol_options',
  tracing: 'tracing is not supported yet; remove tracing',
  typed_header_validation_config:
    'header validators are not supported; remove typed_header_validation_config (headers are checked by RFC 9110 and 9112 without one)',
  represent_ipv4_remote_address_as_ipv4_mapped_ipv6:
    'is not built, in Envoy neither; remove represent_ipv4_remote_address_as_ipv4_mapped_ipv6',
  path_normalization_options:
    'is not built, in Envoy neither: filters, routes and upstreams see one path here; use normalize_path and merge_slashes',
  forward_proto_config:
    'the scheme from the destination port of the PROXY protocol is not built yet; remove forward_proto_config',
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
  'override_stream_error_on_invalid_http_message',
  'allow_absolute_url',
  'accept_http_10',
  'default_host_for_http_10',
  'header_key_format',
  'enable_trailers',
  'allow_chunked_length',
  'allow_custom_methods',
  'ignore_http_11_upgrade',
  // No effect, see warnOfIdleFields.
  'use_balsa_parser',
  'send_fully_qualified_url',
]);

/** Numbers of the API's enums, by their names there. */
const CODEC_NAMES = ['AUTO', 'HTTP1', 'HTTP2', 'HTTP3'];
const CODEC_TYPES: readonly CodecType[] = ['auto', 'http1', 'http2'];
const SERVER_HEADER = ['overwrite', 'append-if-absent', 'pass-through'] as const;
const UNDERSCORES = ['allow', 'reject', 'drop'] as const;

/** `envoy.filters.network.http_connection_manager`: turns bytes into requests and runs the HTTP filters. */
export const httpConnectionManager = defineNetworkFilter({
  name: 'envoy.filters.network.http_connection_manager',
  config: HttpConnectionManagerSchema,
  terminal: true,
  create(config, context) {
    const compiled = compileConnectionManager(config, context);
    return ({ connection, sole }) => new HttpConnection(compiled, connection, sole);
  },
});

/** What of a config is refused by name. */
function checkFields(config: HttpConnectionManager, problems: ProblemCollector): void {
  problems.try('', () => refuseUnsupported(config, HttpConnectionManagerSchema, SUPPORTED, '', REASONS));
  checkTrust(config, problems);
  if (config.codecType > 2)
    problems.add('codec_type', `${CODEC_NAMES[config.codecType]} is not supported; use AUTO, HTTP1 or HTTP2`);
  const common = config.commonHttpProtocolOptions;
  if (common === undefined) return;
  problems.try('common_http_protocol_options', () =>
    refuseUnsupported(common, HttpProtocolOptionsSchema, COMMON_SUPPORTED, '', {
      max_response_headers_kb: 'is not possible here: it limits what upstreams send; set it on the cluster',
    }),
  );
}

/** Envoy's texts. */
function checkTrust(config: HttpConnectionManager, problems: ProblemCollector): void {
  if (config.originalIpDetectionExtensions.length === 0) return;
  const path = 'original_ip_detection_extensions';
  if (config.useRemoteAddress === true)
    problems.add(path, 'Original IP detection extensions and use_remote_address may not be mixed');
  if (config.xffNumTrustedHops > 0)
    problems.add(path, 'Original IP detection extensions and xff_num_trusted_hops may not be mixed');
}

/** The parts of a config that can be wrong. @throws ConfigError with every problem, not only the first */
function compileParts(config: HttpConnectionManager, context: ListenerFactoryContext) {
  const filterContext: HttpFilterContext = { ...context, statPrefix: `http.${config.statPrefix}.` };
  const problems = new ProblemCollector();
  checkFields(config, problems);
  const routes = problems.try('', () => compileRoutes(config, filterContext));
  const chain = problems.try('', () => compileFilterChain(config.httpFilters, filterContext));
  const upgrades = problems.try('', () => compileUpgrades(config.upgradeConfigs, filterContext));
  const accessLogs = problems.try('access_log', () => context.accessLoggers(config.accessLog));
  const accessLogTimes = problems.try('', () => compileAccessLogTimes(config));
  const localReplies = problems.try('local_reply_config', () =>
    compileLocalReplies(config.localReplyConfig, context),
  );
  const proxyStatus = problems.try('proxy_status_config', () => createProxyStatus(config, context));
  const http1 = problems.try('', () => compileHttp1Options(config, context));
  const http2 = problems.try('http2_protocol_options', () => compileHttp2Options(config, context));
  const requestIds = problems.try('', () => createRequestIds(config, context));
  const mutateRequest =
    requestIds === undefined
      ? undefined
      : problems.try('', () => compileMutation(config, context, requestIds));
  problems.throwIfAny();
  return {
    routes,
    chain,
    upgrades,
    accessLogs,
    accessLogTimes,
    localReplies,
    proxyStatus,
    http1,
    http2,
    requestIds,
    mutateRequest,
  } as {
    readonly routes: ConnectionManagerConfig['routes'];
    readonly chain: ConnectionManagerConfig['chain'];
    readonly upgrades: ConnectionManagerConfig['upgrades'];
    readonly accessLogs: ConnectionManagerConfig['accessLogs'];
    readonly accessLogTimes: ConnectionManagerConfig['accessLogTimes'];
    readonly localReplies: ConnectionManagerConfig['localReplies'];
    readonly proxyStatus: SetProxyStatus | undefined;
    readonly http1: Http1ServerOptions;
    readonly http2: Http2ServerOptions;
    readonly requestIds: RequestIds;
    readonly mutateRequest: ConnectionManagerConfig['mutateRequest'];
  };
}

/** @throws ConfigError with every problem, paths below the message */
export function compileConnectionManager(
  config: HttpConnectionManager,
  context: ListenerFactoryContext,
): ConnectionManagerConfig {
  const parts = compileParts(config, context);
  const { routes, chain, upgrades, accessLogs, http1, requestIds, mutateRequest } = parts;
  warnOfIdleFields(config, context);
  const common = config.commonHttpProtocolOptions;
  const stats = createStats(context.stats, context.listenerScope, config.statPrefix);
  return {
    statPrefix: config.statPrefix,
    clock: context.clock,
    random: context.random,
    runtime: context.runtime,
    logger: context.loggers.logger('http'),
    drain: context.drain,
    overload: compileOverload(context.overload, config.appendLocalOverload, {
      rqClose: stats.rqOverloadClose,
      cxDisableKeepalive: stats.cxOverloadDisableKeepalive,
    }),
    stats,
    accessLogs,
    accessLogTimes: parts.accessLogTimes,
    localReplies: parts.localReplies,
    routes,
    chain,
    upgrades,
    secure: context.secure,
    tellsAddresses: config.addProxyProtocolConnectionState ?? true,
    codecType: CODEC_TYPES[config.codecType] ?? 'auto',
    http1,
    http2: parts.http2,
    mutateRequest,
    mutateResponse: compileResponseMutation({
      serverName: serverNameOf(config),
      serverHeader: SERVER_HEADER[config.serverHeaderTransformation] ?? 'overwrite',
      via: config.via,
      alwaysSetRequestId: config.alwaysSetRequestIdInResponse,
      requestIds,
      proxyStatus: parts.proxyStatus,
      clock: context.clock,
    }),
    checkPath: compilePathPolicy(readPathPolicy(config, context)),
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
    safeMaxConnectionDuration: config.http1SafeMaxConnectionDuration,
    drainTimeoutMs: ms(config.drainTimeout, DEFAULT_DRAIN_MS),
    drainTimeoutJitter: (config.drainTimeoutJitter?.value ?? 0) / 100,
    keepAfterBadRequest:
      config.httpProtocolOptions?.overrideStreamErrorOnInvalidHttpMessage ??
      config.streamErrorOnInvalidHttpMessage ??
      false,
    maxRequestsPerConnection: common?.maxRequestsPerConnection ?? 0,
    delayedCloseMs: ms(config.delayedCloseTimeout, DEFAULT_DELAYED_CLOSE_MS),
    proxy100Continue: config.proxy100Continue,
    bufferLimitBytes: context.perConnectionBufferLimitBytes,
  };
}

function serverNameOf({ serverName }: HttpConnectionManager): string {
  return serverName === '' ? DEFAULT_SERVER_NAME : serverName;
}

function createProxyStatus(
  config: HttpConnectionManager,
  { localInfo }: ListenerFactoryContext,
): SetProxyStatus | undefined {
  const { proxyStatusConfig } = config;
  if (proxyStatusConfig === undefined) return undefined;
  return compileProxyStatus(proxyStatusConfig, serverNameOf(config), localInfo.node);
}

function ms(duration: Parameters<typeof durationMs>[0] | undefined, fallback: number): number {
  return duration === undefined ? fallback : durationMs(duration);
}

/** Fields that mean nothing here: accepted, since leaving them out changes nothing. */
function warnOfIdleFields(config: HttpConnectionManager, context: ListenerFactoryContext): void {
  if (config.streamFlushTimeout !== undefined && CODEC_TYPES[config.codecType] === 'http1') {
    context.warn(
      'http_connection_manager.stream_flush_timeout',
      'has no effect on HTTP/1.1: it is for streams that wait for a window to send their end',
    );
  }
  const http1 = config.httpProtocolOptions;
  if (http1?.useBalsaParser !== undefined) {
    context.warn(
      'http_connection_manager.http_protocol_options.use_balsa_parser',
      'has no effect: there is one parser',
    );
  }
  if (http1?.sendFullyQualifiedUrl === true) {
    context.warn(
      'http_connection_manager.http_protocol_options.send_fully_qualified_url',
      'has no effect here: set it on the cluster whose requests shall have it',
    );
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
            cidrRanges: config.internalAddressConfig.cidrRanges,
          },
    via: config.via,
    userAgent: config.addUserAgent === true ? context.localInfo.cluster : undefined,
    generateRequestId: config.generateRequestId ?? true,
    preserveExternalRequestId: config.preserveExternalRequestId,
    schemeToOverwrite: scheme?.case === 'schemeToOverwrite' ? (scheme.value as 'http' | 'https') : undefined,
    schemeMatchUpstream:
      scheme?.case === undefined && config.schemeHeaderTransformation?.matchUpstream === true,
    ...compileClientCertRules(config, context),
    earlyMutations: config.earlyHeaderMutationExtensions.map((extension, i) => {
      const path = `early_header_mutation_extensions[${i}].typed_config`;
      const found = resolveExtension(
        context.extensions,
        'header-mutations',
        extension.name,
        extension.typedConfig,
        path,
      );
      return atPath(path, () => found.extension.create(found.message, context));
    }),
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
    ...readRequestLimits(config, context),
    acceptHttp10: http1?.acceptHttp10 ?? false,
    defaultHostForHttp10: http1?.defaultHostForHttp10 ?? '',
    allowAbsoluteUrl: http1?.allowAbsoluteUrl ?? true,
    enableTrailers: http1?.enableTrailers ?? false,
    allowChunkedLength: http1?.allowChunkedLength ?? false,
    allowCustomMethods: http1?.allowCustomMethods ?? false,
    ...readNameOptions(http1, context),
    headersWithUnderscores: UNDERSCORES[common?.headersWithUnderscoresAction ?? 0] ?? 'allow',
    onUnderscore: (action) => (action === 'drop' ? dropped : rejected).inc(),
  };
}
