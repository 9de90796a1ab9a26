import type { Timer, TransportAccept } from '@dragoman/core';
import type { NetworkContext, SocketConnection } from '@dragoman/network';

/** The reason, in Envoy's words, of a connection whose handshake was not through in `transport_socket_connect_timeout`. */
export const TRANSPORT_TIMEOUT = 'transport socket timeout was reached';

/** What becomes of a connection's transport. */
export interface TransportOwner {
  /** Plain bytes may flow. */
  onTransportReady(): void;
  /** `transport_socket_connect_timeout` is over. */
  onTransportTimeout(): void;
}

/** The beginning of one connection's transport: its first bytes are kept until it has seen enough of them to take the socket. */
export class TransportStart {
  private readonly accept: TransportAccept;
  private readonly connection: SocketConnection;
  private readonly owner: TransportOwner;
  private readonly timer: Timer | undefined;
  private kept: Buffer | undefined = undefined;
  private started = false;

  /** @param timeoutMs 0: the handshake may take as long as it likes */
  constructor(
    accept: TransportAccept,
    connection: SocketConnection,
    owner: TransportOwner,
    network: NetworkContext,
    timeoutMs: number,
  ) {
    this.accept = accept;
    this.connection = connection;
    this.owner = owner;
    if (timeoutMs <= 0) return;
    this.timer = network.clock.timer(() => connection.run(() => owner.onTransportTimeout()));
    this.timer.enable(timeoutMs);
  }

  onData(data: Buffer): void {
    if (this.started) return;
    const bytes = this.kept === undefined ? data : Buffer.concat([this.kept, data]);
    switch (this.accept.inspect(bytes)) {
      case 'wait':
        this.kept = this.kept === undefined ? Buffer.from(data) : bytes;
        break;
      case 'close':
        this.connection.close('now', this.connection.info.transportFailureReason);
        break;
      case 'ready':
        this.started = true;
        this.kept = undefined;
        this.connection.startTransport(
          (socket, events) => this.accept.wrap(socket, events),
          bytes,
          () => this.owner.onTransportReady(),
        );
    }
  }

  stop(): void {
    this.timer?.disable();
  }
}
