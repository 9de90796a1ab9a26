import {
  type Address,
  type Cancellable,
  type Clock,
  type Cluster,
  type Connection,
  type ConnectionCloseKind,
  type ConnectionHandler,
  type Host,
  type HttpPool,
  type HttpPoolCallbacks,
  type PoolFailureReason,
  type PoolWishes,
  type RequestEncoder,
  type RequestHeaders,
  type ResponseDecoder,
  ResponseHeaders,
  type RoutingPriority,
  type TcpPoolCallbacks,
  type UpstreamConnectionInfo,
  type TlsInfo,
  type TransportOptions,
} from '@dragoman/core';

const EMPTY = Buffer.alloc(0);
/** From this size on it pays to hold the connection's buffer instead of letting the receiver copy. */
const HOLD_BYTES = 8 * 1024;
/** After so many it is a transfer: the connection reads into a large buffer of its own. */
const BULK_BYTES = 64 * 1024;

/** Gives TCP connections for streams: what the request's body brings goes out as it is, and what comes in is the response's. */
export class TunnelPools {
  private readonly cluster: Cluster;
  private readonly clock: Clock;

  constructor(cluster: Cluster, clock: Clock) {
    this.cluster = cluster;
    this.clock = clock;
  }

  httpPool(host: Host, priority: RoutingPriority, wishes?: PoolWishes): HttpPool {
    return {
      newStream: (decoder, callbacks) =>
        new Tunnel(decoder, callbacks, this.clock).open(this.cluster, host, priority, wishes?.transport),
    };
  }
}

/** One TCP connection in the place of a request. It says 200 as soon as it is there. */
class Tunnel implements TcpPoolCallbacks, RequestEncoder, ConnectionHandler, UpstreamConnectionInfo {
  readonly responseHeadBytes = 0;
  readonly protocol = undefined;
  readonly connectStart: number;
  connectComplete = 0;
  handshakeComplete = 0;
  private readonly decoder: ResponseDecoder;
  private readonly callbacks: HttpPoolCallbacks;
  private readonly clock: Clock;
  private connection!: Connection;
  /** The queue references a chunk that its owner lent. */
  private borrowing = false;
  private requestEnded = false;
  private peerEnded = false;
  /** The receiver wants no more for now. */
  private stopped = false;
  private holding = false;
  private bulk = false;
  private over = false;

  constructor(decoder: ResponseDecoder, callbacks: HttpPoolCallbacks, clock: Clock) {
    this.decoder = decoder;
    this.callbacks = callbacks;
    this.clock = clock;
    this.connectStart = clock.now();
  }

  open(
    cluster: Cluster,
    host: Host,
    priority: RoutingPriority,
    transport: TransportOptions | undefined,
  ): Cancellable | undefined {
    return cluster.newTcpConnection(host, priority, this, transport);
  }

  // --- UpstreamConnectionInfo ------------------------------------------------------------------------------------------

  get tls(): TlsInfo | undefined {
    return this.connection.info.tls;
  }

  get id(): number {
    return this.connection.info.id;
  }

  get localAddress(): Address {
    return this.connection.info.localAddress;
  }

  get remoteAddress(): Address {
    return this.connection.info.remoteAddress;
  }

  get bytesRead(): number {
    return this.connection.bytesRead;
  }

  get bytesWritten(): number {
    return this.connection.bytesWritten;
  }

  // --- TcpPoolCallbacks ------------------------------------------------------------------------------------------------

  onPoolReady(connection: Connection, host: Host): void {
    this.connection = connection;
    this.connectComplete = this.clock.now();
    this.handshakeComplete = connection.info.handshakeComplete;
    connection.setHandler(this);
    this.callbacks.onPoolReady(this, host, this);
  }

  onPoolFailure(reason: PoolFailureReason, details: string, host: Host | undefined): void {
    this.callbacks.onPoolFailure(reason, details, host);
  }

  get heldBytes(): number {
    return this.over ? 0 : this.connection.bufferedBytes;
  }

  // --- RequestEncoder --------------------------------------------------------------------------------------------------

  /** Nothing of the head goes upstream. */
  headers(_headers: RequestHeaders, endStream: boolean): void {
    if (endStream) this.endRequest();
    const headers = new ResponseHeaders();
    headers.status = 200;
    this.decoder.onHeaders(headers, false);
  }

  body(chunk: Buffer, endStream: boolean, holdable: boolean): boolean {
    if (this.over || this.requestEnded) return true;
    const goOn = this.connection.writeBody(chunk, holdable);
    if (!goOn && holdable) this.borrowing = true;
    if (endStream) this.endRequest();
    return goOn;
  }

  trailers(): void {
    if (!this.over) this.endRequest();
  }

  reset(): void {
    if (this.over) return;
    this.over = true;
    // What was taken over is delivered, unless it is lent and its owner may be gone.
    this.connection.close(this.borrowing ? 'now' : 'flush');
  }

  pauseBody(): void {
    if (this.over || this.stopped) return;
    this.stopped = true;
    this.connection.pauseReading();
  }

  resumeBody(): void {
    if (!this.stopped) return;
    this.stopped = false;
    if (!this.holding) this.connection.resumeReading();
    else {
      this.holding = false;
      this.connection.release();
    }
  }

  private endRequest(): void {
    this.requestEnded = true;
    if (this.peerEnded) this.connection.close('flush');
    else this.connection.end();
  }

  // --- ConnectionHandler -----------------------------------------------------------------------------------------------

  onData(data: Buffer): void {
    if (this.over) return;
    const { connection } = this;
    if (!this.bulk && connection.bytesRead > BULK_BYTES) {
      this.bulk = true;
      connection.setBulk(true);
    }
    const held = data.length >= HOLD_BYTES && connection.hold();
    if (this.decoder.onBody(data, false, held)) {
      if (held) connection.release();
      return;
    }
    if (this.over) {
      // The receiver is gone; its queue may still want the chunk.
      if (held) connection.release(false);
      return;
    }
    this.stopped = true;
    this.holding = held;
    if (!held) connection.pauseReading();
  }

  onEnd(): void {
    if (this.over) return;
    this.peerEnded = true;
    this.decoder.onBody(EMPTY, true, true);
    if (this.requestEnded && !this.over) this.connection.close('flush');
  }

  onWritable(): void {
    this.borrowing = false;
    if (!this.over) this.decoder.onWritable();
  }

  onClose(_kind: ConnectionCloseKind, reason: string): void {
    if (this.over) return;
    this.over = true;
    if (!this.peerEnded) this.decoder.onReset('connection-termination', reason);
  }
}
