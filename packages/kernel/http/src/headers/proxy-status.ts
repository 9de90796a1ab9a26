import type { HttpConnectionManager_ProxyStatusConfig } from '@dragoman/api';
import {
  ConfigError,
  ResponseFlag,
  type ResponseHeaders,
  responseFlagsShort,
  type StreamInfo,
} from '@dragoman/core';
import { isUnfitForWire } from '@dragoman/header-edits';
import { utf8Bytes } from '@dragoman/matching';

/** An error type of RFC 9209, and the status which it recommends; 0: none. */
interface ProxyStatusError {
  readonly name: string;
  readonly status: number;
}

const error = (name: string, status: number): ProxyStatusError => ({ name, status });

const DESTINATION_UNAVAILABLE = error('destination_unavailable', 503);
const CONNECTION_TIMEOUT = error('connection_timeout', 504);
const CONNECTION_TERMINATED = error('connection_terminated', 502);
const CONNECTION_LIMIT_REACHED = error('connection_limit_reached', 503);
const HTTP_RESPONSE_TIMEOUT = error('http_response_timeout', 504);
const HTTP_REQUEST_ERROR = error('http_request_error', 0);

const NEAR_MISS = ResponseFlag.NoRouteFound | ResponseFlag.NoClusterFound | ResponseFlag.NoHealthyUpstream;

const plain = (details: string) => details.replace(/\{.*/, '');

/** In Envoy's order: the first flag that is set names the error. Other flags name none. */
const ERRORS: readonly (readonly [flag: number, error: ProxyStatusError])[] = [
  [ResponseFlag.FailedLocalHealthCheck, DESTINATION_UNAVAILABLE],
  [ResponseFlag.NoHealthyUpstream, DESTINATION_UNAVAILABLE],
  [ResponseFlag.UpstreamRequestTimeout, HTTP_RESPONSE_TIMEOUT],
  [ResponseFlag.LocalReset, CONNECTION_TIMEOUT],
  [ResponseFlag.UpstreamRemoteReset, CONNECTION_TERMINATED],
  [ResponseFlag.UpstreamConnectionFailure, error('connection_refused', 502)],
  [ResponseFlag.UpstreamConnectionTermination, CONNECTION_TERMINATED],
  [ResponseFlag.UpstreamOverflow, CONNECTION_LIMIT_REACHED],
  [ResponseFlag.NoRouteFound, error('destination_not_found', 500)],
  [ResponseFlag.RateLimited, CONNECTION_LIMIT_REACHED],
  [ResponseFlag.RateLimitServiceError, CONNECTION_LIMIT_REACHED],
  [ResponseFlag.UpstreamRetryLimitExceeded, DESTINATION_UNAVAILABLE],
  [ResponseFlag.StreamIdleTimeout, HTTP_RESPONSE_TIMEOUT],
  [ResponseFlag.InvalidEnvoyRequestHeaders, HTTP_REQUEST_ERROR],
  [ResponseFlag.DownstreamProtocolError, HTTP_REQUEST_ERROR],
  [ResponseFlag.UpstreamMaxStreamDurationReached, HTTP_RESPONSE_TIMEOUT],
  [ResponseFlag.NoFilterConfigFound, error('proxy_configuration_error', 500)],
  [ResponseFlag.UpstreamProtocolError, error('http_protocol_error', 502)],
  [ResponseFlag.NoClusterFound, DESTINATION_UNAVAILABLE],
  [ResponseFlag.DnsResolutionFailed, error('dns_error', 502)],
];

/** Adds `proxy-status` (RFC 9209) to a response whose flags say that something went wrong, and may change its status. */
export type SetProxyStatus = (headers: ResponseHeaders, info: StreamInfo) => void;

/**
 * Compiles `proxy_status_config`.
 * @param serverName `server_name`: the proxy's name unless the config gives another
 * @throws ConfigError for a name that cannot stand in a header
 */
export function compileProxyStatus(
  config: HttpConnectionManager_ProxyStatusConfig,
  serverName: string,
  nodeId: string,
): SetProxyStatus {
  const { removeDetails, removeConnectionTerminationDetails, removeResponseFlags } = config;
  const { setRecommendedResponseCode } = config;
  const name = utf8Bytes(proxyName(config, serverName, nodeId));
  if (isUnfitForWire(name))
    throw ConfigError.at('literal_proxy_name', 'a header value may not contain NUL, CR or LF');

  function details(info: StreamInfo): string {
    if (removeDetails || info.responseCodeDetails === '') return '';
    // What came nearest to an upstream is of the configuration: not for strangers.
    const own = info.hasResponseFlag(NEAR_MISS) ? plain(info.responseCodeDetails) : info.responseCodeDetails;
    const parts = [own];
    if (!removeConnectionTerminationDetails && info.connectionTerminationDetails !== '')
      parts.push(info.connectionTerminationDetails);
    if (!removeResponseFlags && info.responseFlags !== 0) parts.push(responseFlagsShort(info.responseFlags));
    return `; details="${quoted(parts.join('; '))}"`;
  }

  return (headers, info) => {
    if (info.responseFlags === 0) return;
    const found = ERRORS.find(([flag]) => info.hasResponseFlag(flag))?.[1];
    if (found === undefined) return;
    const before = headers.getJoined('proxy-status') ?? '';
    const own = `${name}; error=${found.name}${details(info)}`;
    headers.set('proxy-status', before === '' ? own : `${before}, ${own}`);
    if (setRecommendedResponseCode && found.status !== 0) headers.status = found.status;
  };
}

function proxyName(
  { proxyName: specifier }: HttpConnectionManager_ProxyStatusConfig,
  serverName: string,
  nodeId: string,
): string {
  switch (specifier.case) {
    case 'literalProxyName':
      return specifier.value;
    case 'useNodeId':
      return nodeId;
    default:
      return serverName;
  }
}

const UNSAFE = /["\x00-\x1f\x7f]/g;
const ESCAPES: Readonly<Record<string, string>> = { '"': '\\"', '\r': '\\r', '\n': '\\n', '\t': '\\t' };

/** Details are ours, but parts of them come from peers. */
function quoted(text: string): string {
  return utf8Bytes(text).replace(UNSAFE, (character) => ESCAPES[character] ?? '');
}
