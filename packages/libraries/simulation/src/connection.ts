import type {
  Clock,
  CloseMode,
  ConnectHandler,
  Connection,
  ConnectionInfo,
  ConnectOptions,
} from '@dragoman/core';
import { connectionInfo } from '@dragoman/testing';
import type { SimHost } from './host.ts';

/** A connection to a simulated host. Bytes do not flow: the codec hands requests over whole. */
export class SimConnection implements Connection {
  readonly info: ConnectionInfo;
  readonly host: SimHost;
  open = true;
  delayedCloseMs = 1000;
  readonly bufferedBytes = 0;
  readonly aboveHighWatermark = false;
  readonly readingPaused = false;
  readonly bytesRead = 0;
  readonly bytesWritten = 0;
  private closed = false;
  private handler: ConnectHandler;
  private readonly clock: Clock;

  constructor({ address }: ConnectOptions, host: SimHost, handler: ConnectHandler, clock: Clock) {
    this.info = connectionInfo({ directRemoteAddress: address });
    this.host = host;
    this.handler = handler;
    this.clock = clock;
    const { reachable } = host.condition;
    if (reachable === 'silent') return;
    this.later(host.drawRoundTrip(), () => {
      if (reachable === 'refuses') this.lose('connection refused');
      else if (this.open) this.handler.onConnected();
    });
  }

  /** The peer is gone. */
  lose(reason: string): void {
    this.open = false;
    this.tellClosed('remote', reason);
  }

  close(_mode: CloseMode): void {
    if (!this.open) return;
    this.open = false;
    // As on a socket: the close is an event of its own.
    this.later(0, () => this.tellClosed('local', ''));
  }

  setHandler(handler: ConnectHandler): void {
    this.handler = handler;
  }

  writeText(): void {}
  writeBody(): boolean {
    return true;
  }
  flush(): void {}
  end(): void {}
  pauseReading(): void {}
  resumeReading(): void {}
  setBulk(): void {}
  hold(): boolean {
    return false;
  }
  release(): void {}
  setIdleTimeout(): void {}

  private tellClosed(kind: 'remote' | 'local', reason: string): void {
    if (this.closed) return;
    this.closed = true;
    this.handler.onClose(kind, reason);
  }

  private later(ms: number, action: () => void): void {
    this.clock.timer(action).enable(ms);
  }
}
