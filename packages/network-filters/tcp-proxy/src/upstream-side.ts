import type { Cluster, Connection, ConnectionCloseKind, ConnectionHandler } from '@dragoman/core';
import { Direction } from './direction.ts';
import type { TcpProxyStats } from './stats.ts';

/** What an upstream connection tells the filter that it belongs to. */
export interface UpstreamEvents {
  onUpstreamData(upstream: UpstreamSide, data: Buffer): void;
  onUpstreamEnd(): void;
  onUpstreamWritable(upstream: UpstreamSide): void;
  onUpstreamClose(upstream: UpstreamSide, kind: ConnectionCloseKind, reason: string): void;
}

/** The upstream connection, which may outlive the downstream one while what is left is written. */
export class UpstreamSide implements ConnectionHandler {
  readonly connection: Connection;
  /** Downstream to upstream. */
  readonly sending: Direction;
  /** Upstream to downstream. */
  readonly receiving: Direction;
  /** Undefined once the downstream connection is gone. */
  private filter: UpstreamEvents | undefined;
  private readonly stats: TcpProxyStats;
  private flushing = false;
  /** The upstream has ended its side. */
  ended = false;

  constructor(
    filter: UpstreamEvents,
    connection: Connection,
    downstream: Connection,
    stats: TcpProxyStats,
    cluster: Cluster,
  ) {
    this.filter = filter;
    this.connection = connection;
    this.stats = stats;
    const clusterStats = cluster.info.stats;
    this.sending = new Direction(downstream, connection, {
      bytes: stats.rxBytes,
      paused: stats.pausedReading,
      resumed: stats.resumedReading,
      sourceBuffered: stats.rxBytesBuffered,
      sinkBuffered: undefined,
    });
    this.receiving = new Direction(connection, downstream, {
      bytes: stats.txBytes,
      paused: clusterStats.upstreamFlowControlPausedReadingTotal,
      resumed: clusterStats.upstreamFlowControlResumedReadingTotal,
      sourceBuffered: undefined,
      sinkBuffered: stats.txBytesBuffered,
    });
  }

  /** The downstream connection has ended: writes what it had sent, then closes. */
  flush(limitMs: number): void {
    const { connection, stats } = this;
    this.filter = undefined;
    if (!connection.open) return;
    connection.flush();
    if (connection.bufferedBytes > 0) {
      this.flushing = true;
      stats.upstreamFlushTotal.inc();
      stats.upstreamFlushActive.inc();
    }
    connection.delayedCloseMs = limitMs;
    connection.close('flush', 'closing_upstream_tcp_connection_due_to_downstream_remote_close');
  }

  onData(data: Buffer): void {
    this.filter?.onUpstreamData(this, data);
  }

  onEnd(): void {
    this.ended = true;
    this.filter?.onUpstreamEnd();
  }

  onWritable(): void {
    this.filter?.onUpstreamWritable(this);
  }

  onClose(kind: ConnectionCloseKind, reason: string): void {
    if (this.flushing) {
      this.flushing = false;
      this.stats.upstreamFlushActive.dec();
    }
    const { filter } = this;
    this.filter = undefined;
    filter?.onUpstreamClose(this, kind, reason);
  }
}
