import type { Address } from './address.ts';
import type { ConnectionInfo } from './stream-info.ts';

/** How a transport's beginning ends. Exactly one of the two is called, and neither before the call that began it returns. */
export interface TransportEvents {
  /** Plain bytes may flow. `info` holds all that the handshake has told (`tls`, `negotiatedProtocol`, …). */
  onReady(): void;
  /**
   * The handshake failed, or the peer is not one to talk to: the connection is closed.
   * @param reason what `%DOWNSTREAM_TRANSPORT_FAILURE_REASON%` and its upstream kin print; empty when the peer only went away
   */
  onFailed(reason: string): void;
}

/**
 * The transport of one accepted connection. It looks at the first bytes, because what it is set up with (certificate, protocols)
 * follows from the peer's ClientHello, and then takes the socket.
 */
export interface TransportAccept {
  /**
   * Looks at all that has come so far. `wait`: more is needed; `ready`: {@link wrap} may follow; `close`: this is no peer for it, and
   * `info.transportFailureReason` says why. `peeked` is valid until this returns.
   */
  inspect(peeked: Buffer): 'wait' | 'ready' | 'close';
  /**
   * @param socket the plain one (`node:net`), with the peeked bytes put back
   * @returns the socket that gives and takes plain bytes (`node:tls`)
   */
  wrap(socket: unknown, events: TransportEvents): unknown;
}

/** Makes the byte stream of accepted connections secure, or leaves it plain. */
export interface DownstreamTransportSocket {
  /** As filter chains match it and connections report it: `tls`, `raw_buffer`. */
  readonly name: string;
  /** True when bytes are encrypted (the scheme of requests follows from it). */
  readonly secure: boolean;
  /** Undefined: the socket is used as it is. */
  readonly accept?: ((info: ConnectionInfo) => TransportAccept) | undefined;
  /** For protocols that turn secure on the way (`starttls`): what {@link Connection.startSecureTransport} begins. */
  readonly acceptLater?: ((info: ConnectionInfo) => TransportAccept) | undefined;
  /** The listener is gone: stops watching files. */
  readonly close?: (() => void) | undefined;
}

/** The addresses, and the typed values, that a PROXY protocol header tells an upstream. */
export interface ProxyProtocolData {
  readonly source: Address;
  readonly destination: Address;
  readonly tlvs: readonly { readonly type: number; readonly value: Buffer }[];
}

/**
 * What a stream asks of the transport of its connection (Envoy: TransportSocketOptions). Connections are shared only by streams that
 * ask for the same.
 */
export interface TransportOptions {
  /** The same text for the same wishes: connections are pooled by it. Never empty. */
  readonly key: string;
  /** SNI, in place of the transport socket's own (`auto_sni`). */
  readonly serverName?: string | undefined;
  /** One of them must stand in the peer's certificate, besides what the transport socket wants (`auto_san_validation`). */
  readonly verifySubjectAltNames?: readonly string[] | undefined;
  /** In place of the transport socket's own ALPN list. */
  readonly applicationProtocols?: readonly string[] | undefined;
  /** Used where the transport socket has none of its own (the pool's protocols). */
  readonly applicationProtocolsFallback?: readonly string[] | undefined;
  readonly proxyProtocol?: ProxyProtocolData | undefined;
}

/** Makes the byte stream of upstream connections secure, or leaves it plain. One for all connections of a cluster, on each worker. */
export interface UpstreamTransportSocket {
  /** `tls`, `raw_buffer`, … */
  readonly name: string;
  readonly secure: boolean;
  /** Wants {@link TransportOptions.proxyProtocol} of every stream. Default false. */
  readonly usesProxyProtocol?: boolean | undefined;
  /** The name of the host goes before {@link serverName}, where no stream asks for another (`auto_host_sni`). Default false. */
  readonly usesHostName?: boolean | undefined;
  /** The SNI of connections for which nobody asks for another; empty or absent for none. */
  readonly serverName?: string | undefined;
  /** ALPN that the config names; empty or absent: the pool's. */
  readonly applicationProtocols?: readonly string[] | undefined;
  /** Bytes that go first, before any handshake. */
  readonly preamble?:
    | ((info: ConnectionInfo, options: TransportOptions | undefined) => Buffer | undefined)
    | undefined;
  /**
   * Undefined: the socket is used as it is. Otherwise takes the socket (`node:net`, connected) and returns the one that gives and takes
   * plain bytes (`node:tls`).
   */
  readonly wrap?:
    | ((
        socket: unknown,
        info: ConnectionInfo,
        options: TransportOptions | undefined,
        events: TransportEvents,
      ) => unknown)
    | undefined;
  /** For protocols that turn secure on the way (`starttls`): what {@link Connection.startSecureTransport} begins. */
  readonly wrapLater?: UpstreamTransportSocket['wrap'];
  /** The last reference is gone (the cluster was removed or replaced): stops watching files. */
  readonly close?: (() => void) | undefined;
}
