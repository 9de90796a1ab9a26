import {
  type AccessLogType,
  type Cancellable,
  type Cluster,
  type Connection,
  type ConnectionCloseKind,
  type HashValue,
  type Host,
  type ListenerFactoryContext,
  type LoadBalancerContext,
  type LogContext,
  type NetworkFilter,
  type NetworkFilterConnection,
  type NetworkFilterVerdict,
  type PoolFailureReason,
  ResponseFlag,
  type StreamInfo,
  type TcpPoolCallbacks,
  type Timer,
} from '@dragoman/core';
import type { MetadataMatch, Options } from './config.ts';
import { metadataMatchOf, pickRoute } from './routing.ts';
import type { TcpProxyStats } from './stats.ts';
import { type UpstreamEvents, UpstreamSide } from './upstream-side.ts';

/** Why no upstream connection came about: the number that Envoy appends to `tcp_initializion_failure:` (its spelling). */
const InitFailure = { connectFailed: 0, noHealthyUpstream: 1, resourceLimitExceeded: 2, noRoute: 3 } as const;

/** Stands for "as long as it takes" where a flush needs a bound: the longest a timer runs, 24.8 days. */
const UNBOUNDED_MS = 2 ** 31 - 1;

/** One downstream connection and the upstream connection that it gets. */
export class TcpProxyFilter implements NetworkFilter, TcpPoolCallbacks, LoadBalancerContext, UpstreamEvents {
  private readonly options: Options;
  private readonly stats: TcpProxyStats;
  private readonly context: ListenerFactoryContext;
  private readonly filtered: NetworkFilterConnection;
  private readonly downstream: Connection;
  readonly info: StreamInfo;

  // What load balancing may ask for (LoadBalancerContext).
  readonly requestHeaders = undefined;
  metadataMatch: MetadataMatch | undefined = undefined;

  private cluster: Cluster | undefined = undefined;
  private pending: Cancellable | undefined = undefined;
  private upstream: UpstreamSide | undefined = undefined;
  private attempts = 0;
  private retry: Timer | undefined = undefined;
  private starting = false;
  private downstreamEnded = false;
  private downstreamClosed = false;

  private idleTimer: Timer | undefined = undefined;
  private durationTimer: Timer | undefined = undefined;
  private logTimer: Timer | undefined = undefined;
  private lastActivity = 0;

  constructor(
    options: Options,
    stats: TcpProxyStats,
    context: ListenerFactoryContext,
    filtered: NetworkFilterConnection,
  ) {
    this.options = options;
    this.stats = stats;
    this.context = context;
    this.filtered = filtered;
    this.downstream = filtered.connection;
    this.info = filtered.info;
    stats.cxTotal.inc();
  }

  /** LoadBalancerContext: read only by policies that pick by it. */
  get hash(): HashValue | undefined {
    return this.options.hash?.(this.info);
  }

  // --- Downstream --------------------------------------------------------------------------------------------------

  onNewConnection(): NetworkFilterVerdict {
    const { options, downstream } = this;
    // Nothing is read before there is somewhere to write it. A flush may take as long as bytes may stand still.
    downstream.pauseReading();
    downstream.delayedCloseMs = options.idleTimeoutMs || UNBOUNDED_MS;
    this.startTimers();
    this.starting = true;
    this.connect();
    this.starting = false;
    // Bytes that an earlier filter has kept wait in the chain until there is an upstream.
    return this.upstream === undefined ? 'pause' : undefined;
  }

  onData(data: Buffer): undefined {
    const { upstream, info } = this;
    if (upstream === undefined) return undefined;
    const now = this.touch();
    if (info.firstUpstreamTxByteSent === 0) info.firstUpstreamTxByteSent = now;
    info.lastUpstreamTxByteSent = now;
    info.lastDownstreamRxByteReceived = now;
    upstream.sending.transfer(data);
    return undefined;
  }

  onEnd(): void {
    this.downstreamEnded = true;
    this.upstream?.connection.end();
  }

  onWritable(): void {
    if (this.upstream === undefined) return;
    this.touch();
    this.upstream.receiving.onSinkWritable();
  }

  onClose(kind: ConnectionCloseKind, reason: string): void {
    this.downstreamClosed = true;
    this.retry?.disable();
    this.pending?.cancel();
    this.pending = undefined;
    this.stopTimers();
    const { upstream } = this;
    this.upstream = undefined;
    if (upstream !== undefined) this.closeUpstream(upstream, kind, reason);
    this.fillInfo(upstream?.connection);
    this.info.end = this.context.clock.now();
    this.log('TcpConnectionEnd');
  }

  /** A reset is passed on; what a peer sent before an orderly end still goes out. */
  private closeUpstream(upstream: UpstreamSide, kind: ConnectionCloseKind, reason: string): void {
    const { connection } = upstream;
    const bothEnded = this.downstreamEnded && upstream.ended;
    if (kind === 'local' && !bothEnded) {
      connection.close('now', 'closing_upstream_tcp_connection_due_to_downstream_local_close');
    } else if (reason !== '' || upstream.sending.holding) {
      connection.close('reset', 'closing_upstream_tcp_connection_due_to_downstream_reset_close');
    } else {
      upstream.flush(this.options.idleTimeoutMs || UNBOUNDED_MS);
    }
    upstream.sending.stop();
    upstream.receiving.stop();
  }

  // --- Connecting --------------------------------------------------------------------------------------------------

  /** One attempt: a route, a host, a connection. */
  private connect(): void {
    const { info, context, stats } = this;
    if (!this.downstream.open) return;
    const route = pickRoute(this.options, info, context.random);
    info.upstreamCluster = route.cluster;
    this.metadataMatch = metadataMatchOf(route, info);
    const cluster = context.clusters.get(route.cluster);
    this.cluster = cluster;
    if (cluster === undefined) {
      stats.cxNoRoute.inc();
      this.fail(ResponseFlag.NoClusterFound, InitFailure.noRoute);
      return;
    }
    info.upstreamClusterInfo = cluster.info;
    const host = cluster.chooseHost(this);
    if (host === undefined) {
      this.fail(ResponseFlag.NoHealthyUpstream, InitFailure.noHealthyUpstream);
      return;
    }
    this.attempts++;
    if (this.attempts > 1) info.startNextUpstreamAttempt();
    info.upstreamRequestAttemptCount = this.attempts;
    info.upstreamHost = host;
    info.upstreamConnectStart = context.clock.now();
    info.upstreamRequestStart = info.upstreamConnectStart;
    const wishes = cluster.info.transportOptions?.(undefined, info);
    const pending = cluster.newTcpConnection(host, 'default', this, wishes);
    // A callback may have come already, and may even have begun the next attempt.
    if (pending !== undefined && this.upstream === undefined && !this.downstreamClosed)
      this.pending ??= pending;
  }

  onPoolReady(connection: Connection, host: Host): void {
    this.pending = undefined;
    host.monitor?.onResult('connected-final');
    if (this.downstreamClosed) {
      connection.close('now');
      return;
    }
    const { info, downstream } = this;
    const now = this.touch();
    info.upstreamHost = host;
    info.upstreamConnectComplete = now;
    info.upstreamPoolReady = now;
    info.upstreamConnectionId = connection.info.id;
    info.upstreamLocalAddress = connection.info.localAddress;
    info.upstreamRemoteAddress = connection.info.remoteAddress;
    info.upstreamTls = connection.info.tls;
    info.upstreamHandshakeComplete = connection.info.handshakeComplete;
    this.upstream = new UpstreamSide(this, connection, downstream, this.stats, this.cluster as Cluster);
    connection.setHandler(this.upstream);
    if (this.options.logOnConnected) {
      this.fillInfo(connection);
      this.log('TcpUpstreamConnected');
    }
    if (!this.starting) this.filtered.resume();
    downstream.resumeReading();
  }

  onPoolFailure(reason: PoolFailureReason, details: string, host: Host | undefined): void {
    this.pending = undefined;
    host?.monitor?.onResult(reason === 'timeout' ? 'timeout' : 'connect-failed');
    if (this.downstreamClosed) return;
    const { info, options } = this;
    info.upstreamHost = host;
    info.upstreamTransportFailureReason = details;
    if (reason === 'overflow') {
      this.fail(ResponseFlag.UpstreamOverflow, InitFailure.resourceLimitExceeded);
      return;
    }
    if (reason !== 'local-connection-failure') info.setResponseFlag(ResponseFlag.UpstreamConnectionFailure);
    if (this.attempts >= options.maxConnectAttempts) {
      this.cluster?.info.statsScope.counter('upstream_cx_connect_attempts_exceeded').inc();
      this.fail(ResponseFlag.UpstreamRetryLimitExceeded, InitFailure.connectFailed);
      return;
    }
    // In a turn of its own: the failed connection is off the books of its cluster by then.
    this.retry ??= this.context.clock.timer(() => this.connect());
    this.retry.enable(0);
  }

  private fail(flag: number, reason: number): void {
    this.info.setResponseFlag(flag);
    this.downstream.close('now', `tcp_initializion_failure:${reason}`);
  }

  // --- Upstream ----------------------------------------------------------------------------------------------------

  onUpstreamData(upstream: UpstreamSide, data: Buffer): void {
    const { info } = this;
    const now = this.touch();
    if (info.firstUpstreamRxByteReceived === 0) info.firstUpstreamRxByteReceived = now;
    info.lastUpstreamRxByteReceived = now;
    if (info.firstDownstreamTxByteSent === 0) info.firstDownstreamTxByteSent = now;
    info.lastDownstreamTxByteSent = now;
    upstream.receiving.transfer(data);
  }

  onUpstreamEnd(): void {
    this.downstream.end();
  }

  onUpstreamWritable(upstream: UpstreamSide): void {
    this.touch();
    upstream.sending.onSinkWritable();
  }

  onUpstreamClose(upstream: UpstreamSide, kind: ConnectionCloseKind, reason: string): void {
    this.fillInfo(upstream.connection);
    this.upstream = undefined;
    this.idleTimer?.disable();
    const lost = kind === 'remote' && reason !== '';
    if (lost || upstream.receiving.holding) {
      // The peer has to learn that what it got is not all there was.
      this.info.setResponseFlag(ResponseFlag.UpstreamRemoteReset);
      this.info.upstreamTransportFailureReason = reason;
      this.downstream.close('reset');
    } else {
      this.downstream.close('flush');
    }
    upstream.sending.stop();
    upstream.receiving.stop();
  }

  // --- Timers ------------------------------------------------------------------------------------------------------

  private startTimers(): void {
    const { options, context } = this;
    const { clock } = context;
    this.touch();
    if (options.idleTimeoutMs > 0) {
      this.idleTimer = clock.timer(() => this.onIdleTimer());
      this.idleTimer.enable(options.idleTimeoutMs);
    }
    if (options.maxDurationMs > 0) {
      const jitter = (options.maxDurationJitterPercent / 100) * context.random.random();
      this.durationTimer = clock.timer(() => this.onMaxDuration());
      this.durationTimer.enable(options.maxDurationMs * (1 + jitter));
    }
    if (options.logIntervalMs > 0) {
      this.logTimer = clock.timer(() => this.onLogTimer());
      this.logTimer.enable(options.logIntervalMs);
    }
  }

  private stopTimers(): void {
    this.idleTimer?.disable();
    this.durationTimer?.disable();
    this.logTimer?.disable();
  }

  private touch(): number {
    this.lastActivity = this.context.clock.now();
    return this.lastActivity;
  }

  /** The timer is not moved for each chunk: it looks at the time of the last one when it fires. */
  private onIdleTimer(): void {
    const { idleTimeoutMs } = this.options;
    const quiet = this.context.clock.now() - this.lastActivity;
    if (quiet < idleTimeoutMs - 1) {
      this.idleTimer?.enable(idleTimeoutMs - quiet);
      return;
    }
    this.stats.idleTimeout.inc();
    this.downstream.close('now', 'tcp_session_idle_timeout');
  }

  private onMaxDuration(): void {
    this.info.setResponseFlag(ResponseFlag.DurationTimeout);
    this.stats.maxDuration.inc();
    this.downstream.close('now', 'max_connection_duration_reached');
  }

  private onLogTimer(): void {
    this.fillInfo(this.upstream?.connection);
    this.log('TcpPeriodic');
    this.logTimer?.enable(this.options.logIntervalMs);
  }

  // --- Logs --------------------------------------------------------------------------------------------------------

  private fillInfo(upstream: Connection | undefined): void {
    const { info, downstream } = this;
    info.bytesReceived = downstream.bytesRead;
    info.bytesSent = downstream.bytesWritten;
    info.downstreamWireBytesReceived = downstream.bytesRead;
    info.downstreamWireBytesSent = downstream.bytesWritten;
    if (upstream !== undefined) {
      info.upstreamWireBytesReceived = upstream.bytesRead;
      info.upstreamWireBytesSent = upstream.bytesWritten;
    }
    info.connectionTerminationDetails = downstream.info.terminationDetails;
  }

  private log(type: AccessLogType): void {
    const { accessLogs } = this.options;
    if (accessLogs.length === 0) return;
    const entry: LogContext = {
      info: this.info,
      request: undefined,
      response: undefined,
      responseTrailers: undefined,
      type,
    };
    for (const logger of accessLogs) logger.log(entry);
  }
}
