import type {
  ConnectHandler,
  Connection,
  ConnectionCloseKind,
  PoolFailureReason,
  Timer,
  TransportOptions,
} from '@dragoman/core';
import type { UpstreamHost } from '../hosts/host.ts';
import {
  connectFailureReason,
  countClosed,
  countConnectFailure,
  countOpened,
} from './connection-accounting.ts';
import type { PoolContext } from './pool-options.ts';

/** The pool of an {@link AutoClient}. */
export interface AutoOwner {
  readonly host: UpstreamHost;
  readonly context: PoolContext;
  readonly transport: TransportOptions;
  /** The peer has chosen a protocol: whoever speaks it takes the connection. */
  onNegotiated(client: AutoClient, protocol: string): void;
  onConnectFailure(client: AutoClient, reason: PoolFailureReason, details: string): void;
  /** Its resources are back. */
  afterClose(): void;
}

/** A connection on its way, whose protocol ALPN is to choose. */
export class AutoClient implements ConnectHandler {
  readonly openedAt: number;
  private readonly pool: AutoOwner;
  private readonly timer: Timer;
  private ownConnection!: Connection;
  private timedOut = false;
  private over = false;

  constructor(pool: AutoOwner) {
    const { clock } = pool.context;
    this.pool = pool;
    this.openedAt = clock.now();
    this.timer = clock.timer(() => this.onTimeout());
  }

  get connection(): Connection {
    return this.ownConnection;
  }

  connect(): void {
    const { context, host, transport } = this.pool;
    countOpened(context, host);
    this.ownConnection = context.connector.connect(context.connectOptions(host, transport), this);
    this.timer.enable(context.connectTimeoutMs);
  }

  closeIfConnecting(): void {
    this.closeNow('');
  }

  closeNow(details: string): void {
    this.timer.disable();
    this.connection.close('now', details);
  }

  private onTimeout(): void {
    this.pool.context.stats.upstreamCxConnectTimeout.inc();
    this.timedOut = true;
    this.closeNow('');
  }

  onConnected(): void {
    this.timer.disable();
    this.over = true;
    this.pool.onNegotiated(this, this.connection.info.negotiatedProtocol);
  }

  /** Nothing comes before the handshake is through, and then it comes to whoever has taken the connection. */
  onData(): void {}
  onEnd(): void {}
  onWritable(): void {}

  onClose(kind: ConnectionCloseKind, reason: string): void {
    if (this.over) return;
    this.over = true;
    this.timer.disable();
    const { context, host } = this.pool;
    countClosed(context, host, kind, false, context.clock.now() - this.openedAt);
    countConnectFailure(context, host, reason);
    this.pool.onConnectFailure(this, connectFailureReason(kind, this.timedOut), reason);
    this.pool.afterClose();
  }
}
