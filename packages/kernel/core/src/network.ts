import type { ConnectionInfo, StreamInfo } from './stream-info.ts';

/** How a connection ended. */
export type ConnectionCloseKind = 'remote' | 'local';

/** Why a connection is closed by the proxy. */
export type CloseMode =
  /** Write what is pending, then close. */
  | 'flush'
  /** Write what is pending, half-close, wait up to the delayed-close timeout for the peer's end, then close (the peer can read the answer although it still sends). */
  | 'flush-and-wait'
  /** Close at once, dropping what is pending. */
  | 'now'
  /** Close at once with a TCP RST. */
  | 'reset';

/**
 * Who gets a connection's bytes and events. All calls come from the event loop, never from inside a call to
 * the connection except where noted.
 */
export interface ConnectionHandler {
  /**
   * Bytes from the peer. `data` is borrowed: it is valid until this returns. To keep it, copy it, or call
   * {@link Connection.hold} and, if that says true, keep it until {@link Connection.release}.
   */
  onData(data: Buffer): void;
  /** The peer ended its side (FIN). The connection may still be written to. */
  onEnd(): void;
  /** Everything that was written has left for the kernel, after {@link Connection.writeBody} said false. */
  onWritable(): void;
  /** The connection is gone; nothing is called after this. `reason` is empty for an orderly end. */
  onClose(kind: ConnectionCloseKind, reason: string): void;
}

/**
 * A connection on a socket (plain or TLS). Writes are gathered until the event in hand has been dealt with and then go
 * out in as few system calls as possible; {@link flush} sends at once.
 */
export interface Connection {
  readonly info: ConnectionInfo;
  /** False once it is closed, or closing. */
  readonly open: boolean;
  /** Replaces the handler (a filter chain that was found after peeking). */
  setHandler(handler: ConnectionHandler): void;

  /** Bytes written and not yet with the kernel. */
  readonly bufferedBytes: number;
  /** True while {@link bufferedBytes} is above the write limit (`per_connection_buffer_limit_bytes`, default 1 MiB). */
  readonly aboveHighWatermark: boolean;
  /** Text whose characters are bytes (latin1): heads, chunk frames. */
  writeText(text: string): void;
  /**
   * Bytes. With `holdable` false they are taken or copied before this returns. With `holdable` true they may be
   * referenced until {@link ConnectionHandler.onWritable}.
   * @returns true when the writer may go on (and `data` is free); false when it should stop until `onWritable`
   *   (and leave `data` alone until then).
   */
  writeBody(data: Buffer, holdable: boolean): boolean;
  /** Hands everything gathered to the kernel now. */
  flush(): void;
  /** Ends our side after what is pending (FIN). */
  end(): void;
  close(mode: CloseMode, details?: string): void;
  /**
   * How long `flush` and `flush-and-wait` wait while nothing moves, ms (Envoy: `delayed_close_timeout`, default 1,000). 0: what is
   * pending is written however long it takes, and the peer's end is not waited for.
   */
  delayedCloseMs: number;

  /** Stops reading. Calls nest: as many {@link resumeReading} are needed. */
  pauseReading(): void;
  resumeReading(): void;
  readonly readingPaused: boolean;
  /** Says that bulk data follows (or no longer): reads go into a large buffer of this connection's own. */
  setBulk(on: boolean): void;
  /**
   * Only inside `onData`: keeps the chunk just delivered valid and stops reading until {@link release}. False when the
   * chunk lies in the buffer shared by all connections: then it must be copied.
   */
  hold(): boolean;
  /**
   * Reads on. With `reuse` false (default true) the held chunk stays valid as long as anybody references it: its buffer is given
   * up, and reads go into another. For a chunk that waits in a write queue when nobody is left to say when it has gone.
   */
  release(reuse?: boolean): void;
  /** No bytes read or written for `ms`; 0 turns it off. The callback is made once. */
  setIdleTimeout(ms: number, onIdle: () => void): void;
  /** Totals since the connection opened. */
  readonly bytesRead: number;
  readonly bytesWritten: number;

  /**
   * Gives Node's socket to a library that speaks a protocol on it (HTTP/2). Of its handler's calls only `onClose` comes after that, and of
   * the connection `info`, {@link close}, {@link sampleBytes} and the totals go on working. Absent where there is no socket, or it is
   * wanted by others too.
   * @param unread bytes that were delivered already and belong to the protocol: the socket delivers them again
   */
  takeSocket?(unread: Buffer | undefined): unknown;
  /** Brings the totals up to date after {@link takeSocket}. */
  sampleBytes?(): void;
  /**
   * Begins the secure transport of a connection that started plain (`starttls`), once what is written has gone. The handler is told
   * nothing: bytes that it writes from now on wait for the handshake.
   * @returns false when the connection's transport has none, or has begun it
   */
  startSecureTransport?(): boolean;
}

// --- Network filters -------------------------------------------------------------------------------------------

/**
 * What a network filter's hook answers. Nothing: the next filter runs. `pause`: the chain stops here until
 * {@link NetworkFilterConnection.resume}; bytes that arrive meanwhile are held, and reading stops above the
 * connection's buffer limit.
 */
export type NetworkFilterVerdict = undefined | 'pause';

/** One network filter on one connection. Filters run in their order for reads and in reverse for writes. */
export interface NetworkFilter {
  /** The connection is there (after the transport's handshake). */
  onNewConnection?(): NetworkFilterVerdict;
  /**
   * Bytes from the peer (borrowed, see {@link ConnectionHandler.onData}). A terminal filter consumes them; another one
   * looks at them, and may give other bytes to the next.
   */
  onData?(data: Buffer): NetworkFilterVerdict | Buffer;
  /** The peer ended its side. */
  onEnd?(): void;
  /** Bytes on their way to the peer may flow again. */
  onWritable?(): void;
  /** The connection is gone. Called exactly once. */
  onClose?(kind: ConnectionCloseKind, reason: string): void;
}

/** What a network filter sees of its connection. */
export interface NetworkFilterConnection {
  readonly connection: Connection;
  /** No other filter wants the connection's bytes, so that this one may {@link Connection.takeSocket}. */
  readonly sole: boolean;
  /** One for the connection as a whole (TCP); an HTTP connection manager makes one more for each request. */
  readonly info: StreamInfo;
  /** Goes on after `pause`. */
  resume(): void;
}

/** Bytes seen before the filter chain is chosen. */
export interface ListenerFilterSocket {
  /** What filters learn is written here; its `filterState` reaches every stream of the connection. */
  readonly info: ConnectionInfo;
  /** Of the connection, made when it is asked for. Its dynamic metadata is not that of the requests on the connection, as in Envoy. */
  readonly streamInfo: StreamInfo;
  /** Of the accepted socket, for system calls on it; −1 where it has none. Its owner closes it. */
  readonly descriptor: number;
  /** What has arrived, up to {@link ListenerFilter.maxReadBytes}. Valid until the hook returns. */
  readonly peeked: Buffer;
}

/** Looks at the first bytes of an accepted socket, or at its addresses, before the filter chain is chosen. */
export interface ListenerFilter {
  /**
   * The most bytes this filter wants to see; 0 means it needs none. It may grow when `onData` says `wait`; a filter that has seen all it
   * wanted, and waits nevertheless, costs the connection.
   */
  readonly maxReadBytes: number;
  /** The socket was accepted. */
  onAccept(socket: ListenerFilterSocket): 'continue' | 'wait' | 'close';
  /** More bytes are there. `continue` also says how many leading bytes to drop (PROXY protocol). */
  onData?(socket: ListenerFilterSocket): 'continue' | 'wait' | 'close';
  /** Bytes to drop from the front once it continues; absent means none. */
  readonly consumed?: number;
}
