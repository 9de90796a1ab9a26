import type { Counter, Gauge, StatsScope } from '@dragoman/core';

/** `tcp.<stat_prefix>.*`, under Envoy's names. */
export class TcpProxyStats {
  readonly cxTotal: Counter;
  readonly cxNoRoute: Counter;
  readonly rxBytes: Counter;
  readonly rxBytesBuffered: Gauge;
  readonly txBytes: Counter;
  readonly txBytesBuffered: Gauge;
  readonly pausedReading: Counter;
  readonly resumedReading: Counter;
  readonly earlyData: Counter;
  readonly idleTimeout: Counter;
  readonly maxDuration: Counter;
  readonly upstreamFlushTotal: Counter;
  readonly upstreamFlushActive: Gauge;

  constructor(scope: StatsScope) {
    this.cxTotal = scope.counter('downstream_cx_total');
    this.cxNoRoute = scope.counter('downstream_cx_no_route');
    this.rxBytes = scope.counter('downstream_cx_rx_bytes_total');
    this.rxBytesBuffered = scope.gauge('downstream_cx_rx_bytes_buffered');
    this.txBytes = scope.counter('downstream_cx_tx_bytes_total');
    this.txBytesBuffered = scope.gauge('downstream_cx_tx_bytes_buffered');
    this.pausedReading = scope.counter('downstream_flow_control_paused_reading_total');
    this.resumedReading = scope.counter('downstream_flow_control_resumed_reading_total');
    this.earlyData = scope.counter('early_data_received_count_total');
    this.idleTimeout = scope.counter('idle_timeout');
    this.maxDuration = scope.counter('max_downstream_connection_duration');
    this.upstreamFlushTotal = scope.counter('upstream_flush_total');
    this.upstreamFlushActive = scope.gauge('upstream_flush_active');
  }
}
