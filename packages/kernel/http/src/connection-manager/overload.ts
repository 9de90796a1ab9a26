import {
  type Counter,
  type LocalReply,
  type LoadShedPoint,
  LoadShedPointName,
  type OverloadAction,
  OverloadActionName,
  type OverloadState,
  type ResponseHeaders,
  type StreamRegistry,
  type TimeoutScale,
} from '@dragoman/core';

/** What an overload manager has to say to a connection manager; what no config speaks of is undefined. */
export interface HttpOverload {
  readonly stopRequests: OverloadAction | undefined;
  readonly shedRequest: LoadShedPoint | undefined;
  readonly disableKeepalive: OverloadAction | undefined;
  readonly shedCodec: LoadShedPoint | undefined;
  readonly abortHttp1: LoadShedPoint | undefined;
  readonly goAwayHttp2: LoadShedPoint | undefined;
  readonly connectionIdle: TimeoutScale | undefined;
  readonly streamIdle: TimeoutScale | undefined;
  readonly streams: StreamRegistry | undefined;
  /** What a request is answered with that is not begun. */
  readonly reply: LocalReply;
  /** `downstream_rq_overload_close`. */
  readonly rqClose: Counter;
  /** `downstream_cx_overload_disable_keepalive`. */
  readonly cxDisableKeepalive: Counter;
}

/** The texts are Envoy's. */
export const OVERLOADED = { status: 503, body: 'envoy overloaded', details: 'overload' } as const;

/** Envoy's details of connections that are given up. */
export const OVERLOAD_ERROR = {
  codec: 'overload_error:onData_codec_creation_overload',
  dispatch: 'overload_error:Aborting_Server_Dispatch',
} as const;

/** What an HTTP/1 request is answered with whose bytes are not read. */
export const DISPATCH_ABORTED = {
  status: 500,
  details: 'overload',
  message: 'Internal Server Error',
} as const;

/**
 * @param appendHeader `append_local_overload`
 * @returns undefined when no config speaks of anything here: a request then pays for one look at that
 */
export function compileOverload(
  state: OverloadState,
  appendHeader: boolean,
  counters: Pick<HttpOverload, 'rqClose' | 'cxDisableKeepalive'>,
): HttpOverload | undefined {
  const handles = {
    stopRequests: state.action(OverloadActionName.stopAcceptingRequests),
    shedRequest: state.loadShedPoint(LoadShedPointName.hcmDecodeHeaders),
    disableKeepalive: state.action(OverloadActionName.disableHttpKeepalive),
    shedCodec: state.loadShedPoint(LoadShedPointName.hcmCreatingCodec),
    abortHttp1: state.loadShedPoint(LoadShedPointName.http1AbortDispatch),
    goAwayHttp2: state.loadShedPoint(LoadShedPointName.http2GoAwayOnDispatch),
    connectionIdle: state.timeoutScale('HTTP_DOWNSTREAM_CONNECTION_IDLE'),
    streamIdle: state.timeoutScale('HTTP_DOWNSTREAM_STREAM_IDLE'),
    streams: state.streams,
  };
  if (Object.values(handles).every((handle) => handle === undefined)) return undefined;
  return {
    ...handles,
    ...counters,
    reply: appendHeader ? { ...OVERLOADED, modifyHeaders: appendLocalOverloaded } : OVERLOADED,
  };
}

function appendLocalOverloaded(headers: ResponseHeaders): void {
  headers.set('x-envoy-local-overloaded', 'true');
}
