/** The actions of the overload manager (`overload_manager.actions`) that somebody here carries out, by Envoy's names. */
export const OverloadActionName = {
  stopAcceptingRequests: 'envoy.overload_actions.stop_accepting_requests',
  disableHttpKeepalive: 'envoy.overload_actions.disable_http_keepalive',
  stopAcceptingConnections: 'envoy.overload_actions.stop_accepting_connections',
  rejectIncomingConnections: 'envoy.overload_actions.reject_incoming_connections',
  shrinkHeap: 'envoy.overload_actions.shrink_heap',
  reduceTimeouts: 'envoy.overload_actions.reduce_timeouts',
  resetHighMemoryStream: 'envoy.overload_actions.reset_high_memory_stream',
} as const;
export type OverloadActionName = (typeof OverloadActionName)[keyof typeof OverloadActionName];

/** The load shed points (`overload_manager.loadshed_points`) that somebody here asks, by Envoy's names. */
export const LoadShedPointName = {
  tcpListenerAccept: 'envoy.load_shed_points.tcp_listener_accept',
  hcmDecodeHeaders: 'envoy.load_shed_points.http_connection_manager_decode_headers',
  hcmCreatingCodec: 'envoy.load_shed_points.hcm_ondata_creating_codec',
  http1AbortDispatch: 'envoy.load_shed_points.http1_server_abort_dispatch',
  http2GoAwayOnDispatch: 'envoy.load_shed_points.http2_server_go_away_on_dispatch',
  httpDownstreamFilterCheck: 'envoy.load_shed_points.http_downstream_filter_check',
  connectionPoolNewConnection: 'envoy.load_shed_points.connection_pool_new_connection',
} as const;
export type LoadShedPointName = (typeof LoadShedPointName)[keyof typeof LoadShedPointName];

/** Timers that `reduce_timeouts` shortens, by their names in the config (ScaleTimersOverloadActionConfig.TimerType). */
export type ScaledTimerName =
  | 'HTTP_DOWNSTREAM_CONNECTION_IDLE'
  | 'HTTP_DOWNSTREAM_STREAM_IDLE'
  | 'TRANSPORT_SOCKET_CONNECT';

/** One action, as far as it is to be carried out at present. Reading it is a load from memory. */
export interface OverloadAction {
  /** 0: not at all … 1: saturated. */
  readonly value: number;
  readonly saturated: boolean;
  /** Draws whether it hits the connection, request or response in hand: with the probability {@link value}. */
  fires(): boolean;
}

/** One place where work may be given up before it is begun. */
export interface LoadShedPoint {
  /** Draws whether to give up what is in hand, with the probability of the point's triggers, and counts it when so. */
  shouldShed(): boolean;
}

/** Shortens one kind of timeout. */
export interface TimeoutScale {
  /** What becomes of `ms` (> 0) at present: between its minimum by the config and itself. A minimum above `ms` changes nothing. */
  scale(ms: number): number;
  /** `callback` runs when {@link scale} answers otherwise than before. The returned function takes it back. */
  onChange(callback: () => void): () => void;
}

/** A downstream stream, or what is left of one here, which the proxy may end to have its memory back. */
export interface ResettableStream {
  /** Bytes of bodies, of either direction, that wait in this process for somebody to take them. */
  readonly heldBytes: number;
  /** Ends it without finishing anything: RST_STREAM on HTTP/2, the end of the connection on HTTP/1. One that is over stays as it is. */
  resetForOverload(): void;
}

/** Who has downstream streams: a connection. */
export interface StreamCarrier {
  forEachStream(visit: (stream: ResettableStream) => void): void;
}

/** Knows the streams that `reset_high_memory_stream` may reset. It asks them when the action acts, and never before. */
export interface StreamRegistry {
  /** The returned function takes it back. */
  add(carrier: StreamCarrier): () => void;
}

/**
 * How overloaded the proxy is, as one worker sees it (Envoy: ThreadLocalOverloadState). Handles are asked for once, when config is
 * loaded. Undefined is a thing that no config speaks of: whoever keeps that pays nothing for it.
 */
export interface OverloadState {
  action(name: OverloadActionName): OverloadAction | undefined;
  loadShedPoint(name: LoadShedPointName): LoadShedPoint | undefined;
  timeoutScale(name: ScaledTimerName): TimeoutScale | undefined;
  /** `callback` runs when the value of an action has changed, soon after it has. The returned function takes it back. */
  onChange(callback: () => void): () => void;
  /**
   * Open downstream connections over all workers that the proxy may have (`envoy.resource_monitors.global_downstream_max_connections`);
   * undefined: no monitor says.
   */
  readonly maxDownstreamConnections: number | undefined;
  /** Undefined: `reset_high_memory_stream` is not configured. */
  readonly streams: StreamRegistry | undefined;
}

/** Of a proxy without an overload manager, and of listeners that go around it. */
export const neverOverloaded: OverloadState = {
  action: () => undefined,
  loadShedPoint: () => undefined,
  timeoutScale: () => undefined,
  onChange: () => () => undefined,
  maxDownstreamConnections: undefined,
  streams: undefined,
};
