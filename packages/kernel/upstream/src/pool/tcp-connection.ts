import type {
  Cancellable,
  CloseMode,
  ConnectHandler,
  Connection,
  ConnectionCloseKind,
  ConnectionHandler,
  ConnectionInfo,
  TcpPoolCallbacks,
  Timer,
  TransportOptions,
} from '@dragoman/core';
import type { UpstreamHost } from '../hosts/host.ts';
import {
  connectFailureReason,
  connectionsOverflow,
  countClosed,
  countConnectFailure,
  countOpened,
  countRequest,
  giveRequestBack,
} from './connection-accounting.ts';
import { SHED_TEXT } from './overflow-texts.ts';
import type { PoolContext } from './pool-options.ts';

/** Opens a TCP connection that will be the caller's own. */
export function openTcpConnection(
  host: UpstreamHost,
  context: PoolContext,
  callbacks: TcpPoolCallbacks,
  transport?: TransportOptions,
): Cancellable | undefined {
  const { stats, resources, overflow } = context;
  if (context.newConnection?.shouldShed() === true) {
    callbacks.onPoolFailure('overflow', SHED_TEXT, undefined);
    return undefined;
  }
  const full = connectionsOverflow(context, host);
  if (full !== undefined) {
    callbacks.onPoolFailure('overflow', overflow.refused(full), undefined);
    return undefined;
  }
  if (!resources.pendingRequests.canTake()) {
    stats.upstreamRqPendingOverflow.inc();
    callbacks.onPoolFailure('overflow', overflow.refused('pendingRequests'), undefined);
    return undefined;
  }
  return new TcpClient(host, context, callbacks, transport);
}

/**
 * A TCP connection on its way, and then the connection that the caller gets: it passes everything through, and
 * counts its end whoever holds it.
 */
class TcpClient implements Connection, ConnectHandler, Cancellable {
  private readonly host: UpstreamHost;
  private readonly context: PoolContext;
  private readonly callbacks: TcpPoolCallbacks;
  private readonly connection: Connection;
  private readonly timer: Timer;
  private readonly openedAt: number;
  /** The caller's, from the moment it has the connection. */
  private handler: ConnectionHandler | undefined = undefined;
  private connected = false;
  private cancelled = false;
  private timedOut = false;

  constructor(
    host: UpstreamHost,
    context: PoolContext,
    callbacks: TcpPoolCallbacks,
    transport: TransportOptions | undefined,
  ) {
    this.host = host;
    this.context = context;
    this.callbacks = callbacks;
    const { stats, resources, clock, connector } = context;
    resources.pendingRequests.take();
    stats.upstreamRqPendingTotal.inc();
    stats.upstreamRqPendingActive.inc();
    countOpened(context, host);
    context.tcpUse.take();
    this.openedAt = clock.now();
    this.timer = clock.timer(() => this.onConnectTimeout());
    this.connection = connector.connect(context.connectOptions(host, transport), this);
    this.timer.enable(context.connectTimeoutMs);
    context.openTcp?.add(host, this);
  }

  cancel(): void {
    if (this.connected || this.cancelled) return;
    this.cancelled = true;
    this.context.stats.upstreamRqCancelled.inc();
    this.connection.close('now');
  }

  onConnected(): void {
    const { host, context } = this;
    const { stats, clock } = context;
    this.timer.disable();
    this.connected = true;
    this.countUnqueued();
    stats.upstreamCxConnectMs.record(clock.now() - this.openedAt);
    countRequest(context, host, undefined);
    this.callbacks.onPoolReady(this, host);
  }

  onData(data: Buffer): void {
    (this.handler as ConnectionHandler).onData(data);
  }

  onEnd(): void {
    this.handler?.onEnd();
  }

  onWritable(): void {
    this.handler?.onWritable();
  }

  onClose(kind: ConnectionCloseKind, reason: string): void {
    const { host, context, connected } = this;
    this.timer.disable();
    context.openTcp?.remove(host, this);
    // A TCP connection carries no request that its end could leave incomplete (as Envoy counts).
    countClosed(context, host, kind, false, context.clock.now() - this.openedAt);
    if (connected) giveRequestBack(context, host, undefined);
    else this.countUnqueued();
    context.tcpUse.give();
    if (connected) {
      this.handler?.onClose(kind, reason);
      return;
    }
    countConnectFailure(context, host, reason);
    if (this.cancelled) return;
    context.stats.upstreamRqPendingFailureEject.inc();
    this.callbacks.onPoolFailure(connectFailureReason(kind, this.timedOut), reason, host);
  }

  private onConnectTimeout(): void {
    this.timedOut = true;
    this.context.stats.upstreamCxConnectTimeout.inc();
    this.connection.close('now');
  }

  private countUnqueued(): void {
    this.context.resources.pendingRequests.give();
    this.context.stats.upstreamRqPendingActive.dec();
  }

  // --- The connection, passed through --------------------------------------------------------------------------------

  get info(): ConnectionInfo {
    return this.connection.info;
  }

  get open(): boolean {
    return this.connection.open;
  }

  get bufferedBytes(): number {
    return this.connection.bufferedBytes;
  }

  get aboveHighWatermark(): boolean {
    return this.connection.aboveHighWatermark;
  }

  get readingPaused(): boolean {
    return this.connection.readingPaused;
  }

  get bytesRead(): number {
    return this.connection.bytesRead;
  }

  get bytesWritten(): number {
    return this.connection.bytesWritten;
  }

  get delayedCloseMs(): number {
    return this.connection.delayedCloseMs;
  }

  set delayedCloseMs(ms: number) {
    this.connection.delayedCloseMs = ms;
  }

  setHandler(handler: ConnectionHandler): void {
    this.handler = handler;
  }

  writeText(text: string): void {
    this.connection.writeText(text);
  }

  writeBody(data: Buffer, holdable: boolean): boolean {
    return this.connection.writeBody(data, holdable);
  }

  flush(): void {
    this.connection.flush();
  }

  end(): void {
    this.connection.end();
  }

  close(mode: CloseMode, details?: string): void {
    this.connection.close(mode, details);
  }

  pauseReading(): void {
    this.connection.pauseReading();
  }

  resumeReading(): void {
    this.connection.resumeReading();
  }

  setBulk(on: boolean): void {
    this.connection.setBulk(on);
  }

  hold(): boolean {
    return this.connection.hold();
  }

  release(reuse?: boolean): void {
    this.connection.release(reuse);
  }

  setIdleTimeout(ms: number, onIdle: () => void): void {
    this.connection.setIdleTimeout(ms, onIdle);
  }

  startSecureTransport(): boolean {
    return this.connection.startSecureTransport?.() ?? false;
  }
}
