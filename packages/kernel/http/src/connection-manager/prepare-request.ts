import {
  isGrpcContentType,
  type LocalReply,
  type RequestHeaders,
  type ResponseEncoder,
  ResponseFlag,
  ResponseHeaders,
  type RouteTable,
  type StreamInfo,
  wellKnownId,
} from '@dragoman/core';
import { BAD_CONNECTION } from '../headers/index.ts';
import { keepConnectPort, PATH_NORMALIZATION_FAILED } from '../path/index.ts';
import type { ConnectionManagerConfig } from './config.ts';
import { REPLY } from './replies.ts';
import { chargeResponse } from './stream-completion.ts';

const ID_EXPECT = wellKnownId('expect');
const ID_LOCATION = wellKnownId('location');

const SLASH = 0x2f;

/**
 * Everything between the codec and the route: checks the target, normalises path and host, sanitises headers, and
 * answers `Expect: 100-continue`. Of a request that begins anew only the target is looked at.
 * @param routes those that the request may have
 * @returns the reply to a request that is refused; undefined when it goes on
 */
export function prepareRequest(
  headers: RequestHeaders,
  info: StreamInfo,
  config: ConnectionManagerConfig,
  routes: RouteTable,
  encoder: ResponseEncoder,
  localPort: number,
  restarted: boolean,
): LocalReply | undefined {
  const { stats } = config;
  if (headers.authority === '') return REPLY.missingHost;
  if (headers.path === '') {
    if (headers.method !== 'CONNECT') return REPLY.missingPath;
  } else {
    if (headers.path.charCodeAt(0) !== SLASH) {
      stats.rqNonRelativePath.inc();
      return REPLY.absolutePath;
    }
    const verdict = config.checkPath(headers);
    if (verdict !== 'continue') return refusePath(headers, verdict === 'reject', config);
  }
  const connectPort = config.rewriteHost?.(headers, localPort);
  if (connectPort !== undefined) keepConnectPort(info, connectPort);
  if (restarted) return undefined;
  const internalOnly = routes.internalOnlyHeaders ?? routes.tableFor?.(headers)?.internalOnlyHeaders;
  const result = config.mutateRequest(headers, info, internalOnly);
  if (result === BAD_CONNECTION) return refuseNomination(info, config, encoder);
  if (result.rejectStatus !== 0) {
    stats.rqRejectedViaIpDetection.inc();
    return { status: result.rejectStatus, details: result.details };
  }
  if (headers.hasKnown(ID_EXPECT) && !config.proxy100Continue)
    continueRequest(headers, info, config, encoder);
  return undefined;
}

/** A path that normalisation does not let through, or wants to see again in its normal form. */
function refusePath(
  headers: RequestHeaders,
  reject: boolean,
  { stats }: ConnectionManagerConfig,
): LocalReply {
  // A gRPC client does not follow redirects.
  if (reject || isGrpcContentType(headers)) {
    stats.rqFailedPathNormalization.inc();
    return REPLY.pathNormalization;
  }
  stats.rqRedirectedWithNormalizedPath.inc();
  const location = headers.path;
  return {
    status: 307,
    details: PATH_NORMALIZATION_FAILED,
    modifyHeaders: (response) => response.setKnown(ID_LOCATION, location),
  };
}

/** In Envoy the codec finds it, so it is an error of the protocol, after which the connection is of no more use. */
function refuseNomination(
  info: StreamInfo,
  { stats }: ConnectionManagerConfig,
  encoder: ResponseEncoder,
): LocalReply {
  const reply = REPLY.badConnection;
  stats.cxProtocolError.inc();
  info.setResponseFlag(ResponseFlag.DownstreamProtocolError);
  info.connectionTerminationDetails = reply.details;
  encoder.closeAfterResponse();
  return reply;
}

/** Answers `Expect: 100-continue`, as Envoy does unless `proxy_100_continue` is set. */
function continueRequest(
  headers: RequestHeaders,
  info: StreamInfo,
  { stats }: ConnectionManagerConfig,
  encoder: ResponseEncoder,
): void {
  if (headers.getKnown(ID_EXPECT)?.toLowerCase() !== '100-continue') return;
  headers.removeKnown(ID_EXPECT);
  const interim = new ResponseHeaders();
  interim.status = 100;
  chargeResponse(stats, info, interim.status);
  encoder.informational(interim);
}
