import type { Address } from './address.ts';
import type { HashValue } from './hash.ts';
import type { ClusterInfo, HostDescription } from './upstream.ts';

/** Response flags: why a response is what it is. Bit positions are ours, short names are Envoy's. */
export const ResponseFlag = {
  FailedLocalHealthCheck: 1 << 0,
  NoHealthyUpstream: 1 << 1,
  UpstreamRequestTimeout: 1 << 2,
  LocalReset: 1 << 3,
  UpstreamRemoteReset: 1 << 4,
  UpstreamConnectionFailure: 1 << 5,
  UpstreamConnectionTermination: 1 << 6,
  UpstreamOverflow: 1 << 7,
  NoRouteFound: 1 << 8,
  DelayInjected: 1 << 9,
  FaultInjected: 1 << 10,
  RateLimited: 1 << 11,
  UnauthorizedExternalService: 1 << 12,
  RateLimitServiceError: 1 << 13,
  DownstreamConnectionTermination: 1 << 14,
  UpstreamRetryLimitExceeded: 1 << 15,
  StreamIdleTimeout: 1 << 16,
  InvalidEnvoyRequestHeaders: 1 << 17,
  DownstreamProtocolError: 1 << 18,
  UpstreamMaxStreamDurationReached: 1 << 19,
  ResponseFromCacheFilter: 1 << 20,
  NoFilterConfigFound: 1 << 21,
  DurationTimeout: 1 << 22,
  UpstreamProtocolError: 1 << 23,
  NoClusterFound: 1 << 24,
  OverloadManager: 1 << 25,
  DnsResolutionFailed: 1 << 26,
  DropOverload: 1 << 27,
  DownstreamRemoteReset: 1 << 28,
  UnconditionalDropOverload: 1 << 29,
} as const;
export type ResponseFlagName = keyof typeof ResponseFlag;

/** In Envoy's order: what `%RESPONSE_FLAGS%` and `%RESPONSE_FLAGS_LONG%` print; the long text is the name, but where it has one of its own. */
const FLAG_TEXTS: readonly (readonly [short: string, flag: ResponseFlagName, long?: string])[] = [
  ['LH', 'FailedLocalHealthCheck'],
  ['UH', 'NoHealthyUpstream'],
  ['UT', 'UpstreamRequestTimeout'],
  ['LR', 'LocalReset'],
  ['UR', 'UpstreamRemoteReset'],
  ['UF', 'UpstreamConnectionFailure'],
  ['UC', 'UpstreamConnectionTermination'],
  ['UO', 'UpstreamOverflow'],
  ['NR', 'NoRouteFound'],
  ['DI', 'DelayInjected'],
  ['FI', 'FaultInjected'],
  ['RL', 'RateLimited'],
  ['UAEX', 'UnauthorizedExternalService'],
  ['RLSE', 'RateLimitServiceError'],
  ['DC', 'DownstreamConnectionTermination'],
  ['URX', 'UpstreamRetryLimitExceeded'],
  ['SI', 'StreamIdleTimeout'],
  ['IH', 'InvalidEnvoyRequestHeaders'],
  ['DPE', 'DownstreamProtocolError'],
  ['UMSDR', 'UpstreamMaxStreamDurationReached'],
  ['RFCF', 'ResponseFromCacheFilter'],
  ['NFCF', 'NoFilterConfigFound'],
  ['DT', 'DurationTimeout'],
  ['UPE', 'UpstreamProtocolError'],
  ['NC', 'NoClusterFound'],
  ['OM', 'OverloadManager', 'OverloadManagerTerminated'],
  ['DF', 'DnsResolutionFailed'],
  ['DO', 'DropOverload'],
  ['DR', 'DownstreamRemoteReset'],
  ['UDO', 'UnconditionalDropOverload'],
];

function flagsText(flags: number, long: boolean): string {
  if (flags === 0) return '-';
  const parts: string[] = [];
  for (const [short, flag, text = flag] of FLAG_TEXTS) {
    if ((flags & ResponseFlag[flag]) !== 0) parts.push(long ? text : short);
  }
  return parts.join(',');
}

/** `UF,URX`, or `-` for none. */
export function responseFlagsShort(flags: number): string {
  return flagsText(flags, false);
}

/** `UpstreamConnectionFailure,…`, or `-` for none. */
export function responseFlagsLong(flags: number): string {
  return flagsText(flags, true);
}

/** The bit of a short name such as `UF`, or undefined: for configs which name flags. */
export function responseFlagBit(short: string): number | undefined {
  const found = FLAG_TEXTS.find(([name]) => name === short);
  return found === undefined ? undefined : ResponseFlag[found[1]];
}

export type Protocol = 'HTTP/1.0' | 'HTTP/1.1' | 'HTTP/2' | 'HTTP/3';

/** What is known of a TLS session (filled by a TLS transport socket; absent on plaintext). */
export interface TlsInfo {
  readonly version: string;
  readonly cipher: string;
  readonly sessionId?: string;
  readonly peerSubject?: string;
  readonly peerIssuer?: string;
  readonly peerSerial?: string;
  readonly peerFingerprint256?: string;
  readonly peerFingerprint1?: string;
  readonly peerUriSans?: readonly string[];
  readonly peerDnsSans?: readonly string[];
  readonly peerCertificatePem?: string;
  readonly peerCertificateValidated?: boolean;
  readonly localSubject?: string;
  readonly localUriSans?: readonly string[];
  readonly localDnsSans?: readonly string[];
  readonly peerIpSans?: readonly string[];
  readonly peerEmailSans?: readonly string[];
  readonly peerOthernameSans?: readonly string[];
  readonly localIpSans?: readonly string[];
  readonly localEmailSans?: readonly string[];
  readonly localOthernameSans?: readonly string[];
  /** Of every certificate that the peer sent, its own first. */
  readonly peerChainFingerprints256?: readonly string[];
  readonly peerChainFingerprints1?: readonly string[];
  readonly peerChainSerials?: readonly string[];
  /** When the peer's certificate begins and ceases to be valid, wall time in ms. */
  readonly peerValidFrom?: number;
  readonly peerValidTo?: number;
  /** The group that keys were exchanged in, such as `X25519`. */
  readonly group?: string;
  /** The server name that was sent, of an upstream connection. */
  readonly serverName?: string;
  /** PEM of every certificate that the peer sent, its own first, for `x-forwarded-client-cert`. */
  readonly peerChainPem?: string;
}

/** What is known of a connection, filled while listener filters and transport sockets learn it. */
export interface ConnectionInfo {
  /** Unique within the process, from 1. */
  readonly id: number;
  /** The address the peer connected to (after original-dst and PROXY protocol). */
  localAddress: Address;
  /** A listener filter has learnt {@link localAddress}: clusters of type ORIGINAL_DST go there, and `use_original_dst` acts. */
  localAddressRestored?: boolean | undefined;
  /** The address of the peer as it stands on the socket. */
  readonly directRemoteAddress: Address;
  /** The peer's address after PROXY protocol and its like. */
  remoteAddress: Address;
  /** SNI, empty when there is none. */
  requestedServerName: string;
  /** Protocols the peer offered (ALPN or detected), empty when none. */
  applicationProtocols: readonly string[];
  /** `raw_buffer`, `tls`, or empty while it is not known. */
  transportProtocol: string;
  tls: TlsInfo | undefined;
  /** What ALPN has chosen, such as `h2`; empty for none. */
  negotiatedProtocol: string;
  /** {@link Clock.now} when the transport's handshake was through; 0 before, and without one. */
  handshakeComplete: number;
  /** Wall time in ms when the connection was accepted or opened. */
  readonly startTime: number;
  /** Why the transport failed, for `%DOWNSTREAM_TRANSPORT_FAILURE_REASON%`. */
  transportFailureReason: string;
  /** Why the proxy ended the connection, for `%CONNECTION_TERMINATION_DETAILS%`. */
  terminationDetails: string;
  /** Of a downstream connection, once its filter chain was found. */
  filterChain?: FilterChainInfo | undefined;
  /** JA3 fingerprint of the peer's ClientHello, where somebody made it. */
  ja3Hash?: string | undefined;
  /** JA4 fingerprint of the peer's ClientHello, where somebody made it. */
  ja4Hash?: string | undefined;
  /** Filter state of the connection's life span: every stream on it has these objects. Made by who puts the first one in. */
  filterState?: Map<string, FilterStateObject> | undefined;
}

/** What logs know of a filter chain and its listener; made once when they are compiled. */
export interface FilterChainInfo {
  /** Empty when it has none. */
  readonly name: string;
  /** `FilterChain.metadata.filter_metadata`. */
  readonly metadata: ConfigMetadata;
  /** `Listener.metadata.filter_metadata`. */
  readonly listenerMetadata: ConfigMetadata;
}

/** A JSON-like value of dynamic metadata (google.protobuf.Value). */
export type MetadataValue =
  | null
  | boolean
  | number
  | string
  | readonly MetadataValue[]
  | { readonly [key: string]: MetadataValue };

/** Metadata by namespace (usually a filter's name), then by key. */
export type DynamicMetadata = Map<string, Record<string, MetadataValue>>;

/** `filter_metadata` of a part of the config, by namespace, then by key. */
export type ConfigMetadata = ReadonlyMap<string, Readonly<Record<string, MetadataValue>>>;

/** An object that filters share by name (Envoy: filter state). */
export interface FilterStateObject {
  /** How long it lives, as in Envoy: through internal redirects, or (the default) as long as one pass through the filters. */
  readonly lifeSpan?: 'filter-chain' | 'request';
  /** For `%FILTER_STATE(key:PLAIN)%`; absent when it has no text form. */
  toText?(): string;
  /** For `%FILTER_STATE(key)%`. */
  toJson?(): MetadataValue;
  /** For hash policies that name it; absent, or undefined, when it has none. */
  hash?(): HashValue | undefined;
}

/** Points in time, milliseconds of {@link Clock.now}; 0 while it has not happened. Names follow Envoy's. */
export interface StreamTimings {
  start: number;
  lastDownstreamRxByteReceived: number;
  firstUpstreamTxByteSent: number;
  lastUpstreamTxByteSent: number;
  firstUpstreamRxByteReceived: number;
  lastUpstreamRxByteReceived: number;
  /** A host was chosen, and its pool asked for a connection. */
  upstreamRequestStart: number;
  /** The pool had a connection. */
  upstreamPoolReady: number;
  upstreamConnectStart: number;
  upstreamConnectComplete: number;
  upstreamHandshakeComplete: number;
  downstreamHandshakeComplete: number;
  firstDownstreamTxByteSent: number;
  lastDownstreamTxByteSent: number;
  end: number;
}

/** The names of the route parts which took a request; made once when the route table is compiled. */
export interface RouteNames {
  readonly routeName: string;
  readonly virtualHostName: string;
  /** `Route.metadata.filter_metadata`. */
  readonly metadata?: ConfigMetadata;
  /** `VirtualHost.metadata.filter_metadata`. */
  readonly virtualHostMetadata?: ConfigMetadata;
}

/** All that is known of one request, or of one TCP connection, for logs, stats, filters and traces. */
export class StreamInfo implements StreamTimings {
  readonly connection: ConnectionInfo;
  /** Wall time in ms at {@link start}. */
  readonly startTime: number;
  protocol: Protocol | undefined = undefined;

  start: number;
  lastDownstreamRxByteReceived = 0;
  firstUpstreamTxByteSent = 0;
  lastUpstreamTxByteSent = 0;
  firstUpstreamRxByteReceived = 0;
  lastUpstreamRxByteReceived = 0;
  upstreamRequestStart = 0;
  upstreamPoolReady = 0;
  upstreamConnectStart = 0;
  upstreamConnectComplete = 0;
  upstreamHandshakeComplete = 0;
  downstreamHandshakeComplete = 0;
  firstDownstreamTxByteSent = 0;
  lastDownstreamTxByteSent = 0;
  end = 0;

  /** Body bytes from the peer. */
  bytesReceived = 0;
  /** Body bytes to the peer. */
  bytesSent = 0;
  downstreamHeaderBytesReceived = 0;
  downstreamHeaderBytesSent = 0;
  downstreamWireBytesReceived = 0;
  downstreamWireBytesSent = 0;
  upstreamHeaderBytesReceived = 0;
  upstreamHeaderBytesSent = 0;
  upstreamWireBytesReceived = 0;
  upstreamWireBytesSent = 0;

  /** Status sent downstream; 0 while none was. */
  responseCode = 0;
  /** Machine-readable origin of the response (Envoy's `response_code_details`), empty for none. */
  responseCodeDetails = '';
  /** Bits of {@link ResponseFlag}. */
  responseFlags = 0;
  /** The response has gone to the codec whole. Known from a filter's `onComplete` on; false for a stream that was reset. */
  responseComplete = false;

  /** The peer as trusted through x-forwarded-for; starts as the connection's. */
  remoteAddress: Address;
  /** Set when the route is found. */
  route: RouteNames | undefined = undefined;
  virtualClusterName = '';
  requestId = '';
  /** The cluster that was routed to, also when no host was found in it. */
  upstreamCluster: string = '';
  /** The same, when there is a cluster of that name. */
  upstreamClusterInfo: ClusterInfo | undefined = undefined;
  /** The host of the latest attempt. */
  upstreamHost: HostDescription | undefined = undefined;
  /** Hosts of the attempts before the latest; made by {@link startNextUpstreamAttempt}. */
  earlierUpstreamHosts: HostDescription[] | undefined = undefined;
  /** Connections of the attempts before the latest; made by {@link startNextUpstreamAttempt}. */
  earlierUpstreamConnectionIds: number[] | undefined = undefined;
  upstreamLocalAddress: Address | undefined = undefined;
  upstreamRemoteAddress: Address | undefined = undefined;
  upstreamProtocol: Protocol | undefined = undefined;
  upstreamConnectionId = 0;
  upstreamTls: TlsInfo | undefined = undefined;
  upstreamTransportFailureReason = '';
  upstreamRequestAttemptCount = 0;
  connectionTerminationDetails = '';
  /** `:scheme` is to become that of the connection upstream (`scheme_header_transformation.match_upstream`). */
  schemeMatchUpstream = false;
  /** Whether an upstream that is sent the PROXY protocol may be told the connection's addresses. */
  tellsAddresses = true;
  /** Whether the request was one of the health check filter's. */
  healthCheck = false;

  private metadata: DynamicMetadata | undefined = undefined;
  private state: Map<string, FilterStateObject> | undefined = undefined;

  constructor(connection: ConnectionInfo, startTime: number, start: number) {
    this.connection = connection;
    this.startTime = startTime;
    this.start = start;
    this.remoteAddress = connection.remoteAddress;
    this.downstreamHandshakeComplete = connection.handshakeComplete;
  }

  /** To be called before a second or further attempt: what the one before used is kept, for `%UPSTREAM_HOSTS_ATTEMPTED%` and its kin. */
  startNextUpstreamAttempt(): void {
    if (this.upstreamHost !== undefined) {
      this.earlierUpstreamHosts ??= [];
      this.earlierUpstreamHosts.push(this.upstreamHost);
    }
    if (this.upstreamConnectionId !== 0) {
      this.earlierUpstreamConnectionIds ??= [];
      this.earlierUpstreamConnectionIds.push(this.upstreamConnectionId);
    }
    this.upstreamHost = undefined;
    this.upstreamConnectionId = 0;
    this.upstreamProtocol = undefined;
    this.upstreamLocalAddress = undefined;
    this.upstreamRemoteAddress = undefined;
    this.upstreamTls = undefined;
    this.upstreamTransportFailureReason = '';
    this.upstreamPoolReady = 0;
    this.firstUpstreamTxByteSent = 0;
    this.lastUpstreamTxByteSent = 0;
    this.firstUpstreamRxByteReceived = 0;
    this.lastUpstreamRxByteReceived = 0;
  }

  /** For the same request, which begins anew after an internal redirect: what is known of the client, and filter state that lives on. */
  afterRedirect(): StreamInfo {
    const info = new StreamInfo(this.connection, this.startTime, this.start);
    info.protocol = this.protocol;
    info.lastDownstreamRxByteReceived = this.lastDownstreamRxByteReceived;
    info.downstreamHandshakeComplete = this.downstreamHandshakeComplete;
    info.remoteAddress = this.remoteAddress;
    info.bytesReceived = this.bytesReceived;
    info.schemeMatchUpstream = this.schemeMatchUpstream;
    info.requestId = this.requestId;
    if (this.state !== undefined)
      for (const [name, object] of this.state)
        if (object.lifeSpan === 'request') info.filterState.set(name, object);
    return info;
  }

  setResponseFlag(flag: number): void {
    this.responseFlags |= flag;
  }

  hasResponseFlag(flag: number): boolean {
    return (this.responseFlags & flag) !== 0;
  }

  /** Made on first use: most requests have none. */
  get dynamicMetadata(): DynamicMetadata {
    this.metadata ??= new Map();
    return this.metadata;
  }

  get hasDynamicMetadata(): boolean {
    return this.metadata !== undefined;
  }

  /** Made on first use, with what the connection has; what is put in later is this stream's own. */
  get filterState(): Map<string, FilterStateObject> {
    this.state ??= new Map(this.connection.filterState);
    return this.state;
  }

  get hasFilterState(): boolean {
    return this.state !== undefined || this.connection.filterState !== undefined;
  }
}
