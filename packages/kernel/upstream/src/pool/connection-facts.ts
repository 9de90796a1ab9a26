import type {
  Address,
  Connection,
  Protocol,
  StreamMeter,
  TlsInfo,
  UpstreamConnectionInfo,
} from '@dragoman/core';

/** What is told of a connection to each stream that it carries. */
export class ConnectionFacts implements UpstreamConnectionInfo {
  id = 0;
  protocol: Protocol | undefined = undefined;
  localAddress: Address | undefined = undefined;
  readonly remoteAddress: Address;
  connectStart = 0;
  connectComplete = 0;
  handshakeComplete = 0;
  connection!: Connection;

  constructor(remoteAddress: Address) {
    this.remoteAddress = remoteAddress;
  }

  get tls(): TlsInfo | undefined {
    return this.connection.info.tls;
  }

  get bytesRead(): number {
    return this.connection.bytesRead;
  }

  get bytesWritten(): number {
    return this.connection.bytesWritten;
  }

  /** It is up. */
  onConnected(connectComplete: number): void {
    const { info } = this.connection;
    this.connectComplete = connectComplete;
    this.handshakeComplete = info.handshakeComplete;
    this.localAddress = info.localAddress;
  }

  /** Times of connecting belong to the streams that waited for them. */
  forgetTimes(): void {
    this.connectStart = 0;
    this.connectComplete = 0;
    this.handshakeComplete = 0;
  }
}

/** The same for one stream of several: what it moves is its own. */
export class StreamFacts implements UpstreamConnectionInfo {
  readonly id: number;
  readonly protocol: Protocol | undefined;
  readonly localAddress: Address | undefined;
  readonly remoteAddress: Address;
  readonly connectStart: number;
  readonly connectComplete: number;
  readonly handshakeComplete: number;
  readonly tls: TlsInfo | undefined;
  private readonly meter: StreamMeter | undefined;

  /** @param meter undefined for a stream that never moves anything */
  constructor(facts: ConnectionFacts, meter: StreamMeter | undefined) {
    this.id = facts.id;
    this.protocol = facts.protocol;
    this.localAddress = facts.localAddress;
    this.remoteAddress = facts.remoteAddress;
    this.connectStart = facts.connectStart;
    this.connectComplete = facts.connectComplete;
    this.handshakeComplete = facts.handshakeComplete;
    this.tls = facts.tls;
    this.meter = meter;
  }

  get bytesRead(): number {
    return this.meter?.wireBytesReceived ?? 0;
  }

  get bytesWritten(): number {
    return this.meter?.wireBytesSent ?? 0;
  }
}
