import type { TimeoutScale, Timer, TransportAccept } from '@dragoman/core';
import type { NetworkContext, SocketConnection } from '@dragoman/network';

/** The reason, in Envoy's words, of a connection whose handshake was not through in `transport_socket_connect_timeout`. */
export const TRANSPORT_TIMEOUT = 'transport socket timeout was reached';

const NOTHING = Buffer.alloc(0);
/** Of most ClientHellos that come in several pieces. */
const FIRST_ROOM = 2048;

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
  private readonly stopScaling: (() => void) | undefined;
  /** What has come so far, once that was not enough; it has room for more. */
  private kept: Buffer = NOTHING;
  private length = 0;
  private started = false;

  /**
   * @param timeoutMs 0: the handshake may take as long as it likes
   * @param scale shortens it
   */
  constructor(
    accept: TransportAccept,
    connection: SocketConnection,
    owner: TransportOwner,
    network: NetworkContext,
    timeoutMs: number,
    scale?: TimeoutScale,
  ) {
    this.accept = accept;
    this.connection = connection;
    this.owner = owner;
    if (timeoutMs <= 0) return;
    const { clock } = network;
    const timer = clock.timer(() => connection.run(() => owner.onTransportTimeout()));
    this.timer = timer;
    timer.enable(scale?.scale(timeoutMs) ?? timeoutMs);
    if (scale === undefined) return;
    const begun = clock.now();
    this.stopScaling = scale.onChange(() => {
      if (timer.enabled) timer.enable(Math.max(0, begun + scale.scale(timeoutMs) - clock.now()));
    });
  }

  onData(data: Buffer): void {
    if (this.started) return;
    const bytes = this.length === 0 ? data : this.append(data);
    switch (this.accept.inspect(bytes)) {
      case 'wait':
        if (this.length === 0) this.append(data);
        break;
      case 'close':
        // The reason stands with the connection; it is none that the proxy ends connections for.
        this.connection.close('now');
        break;
      case 'ready':
        this.started = true;
        this.kept = NOTHING;
        this.connection.startTransport(
          (socket, events) => this.accept.wrap(socket, events),
          bytes,
          () => this.owner.onTransportReady(),
        );
    }
  }

  /** Room grows by doubling, so that bytes which come one by one are not copied over and over. */
  private append(data: Buffer): Buffer {
    const length = this.length + data.length;
    if (length > this.kept.length) {
      const larger = Buffer.allocUnsafe(Math.max(2 * length, FIRST_ROOM));
      this.kept.copy(larger, 0, 0, this.length);
      this.kept = larger;
    }
    data.copy(this.kept, this.length);
    this.length = length;
    return this.kept.subarray(0, length);
  }

  stop(): void {
    this.stopScaling?.();
    this.timer?.disable();
  }
}
