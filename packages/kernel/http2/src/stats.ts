import type { Counter, Gauge, StatsScope } from '@dragoman/core';

/** `http2.*` of the server, `cluster.<name>.http2.*` of clusters; resolved once. */
export interface Http2Stats {
  readonly droppedHeadersWithUnderscores: Counter;
  readonly requestsRejectedWithUnderscores: Counter;
  readonly goawaySent: Counter;
  readonly headerOverflow: Counter;
  readonly keepaliveTimeout: Counter;
  readonly rxMessagingError: Counter;
  readonly rxReset: Counter;
  readonly txReset: Counter;
  readonly txFlushTimeout: Counter;
  readonly streamRefusedErrors: Counter;
  readonly trailers: Counter;
  readonly streamsActive: Gauge;
  readonly pendingSendBytes: Gauge;
}

/** What Envoy documents and the layer below does not tell of: they stand at 0. */
const RESERVED = [
  'goaway_graceful_sent',
  'headers_cb_no_stream',
  'inbound_empty_frames_flood',
  'inbound_priority_frames_flood',
  'inbound_window_update_frames_flood',
  'metadata_empty_frames',
  'outbound_control_flood',
  'outbound_flood',
] as const;

const RESERVED_GAUGES = [
  'deferred_stream_close',
  'outbound_control_frames_active',
  'outbound_frames_active',
] as const;

/** @param scope the one that `http2.` stands below */
export function createHttp2Stats(scope: StatsScope): Http2Stats {
  const own = scope.scope('http2');
  for (const name of RESERVED) own.counter(name);
  for (const name of RESERVED_GAUGES) own.gauge(name);
  return {
    droppedHeadersWithUnderscores: own.counter('dropped_headers_with_underscores'),
    requestsRejectedWithUnderscores: own.counter('requests_rejected_with_underscores_in_headers'),
    goawaySent: own.counter('goaway_sent'),
    headerOverflow: own.counter('header_overflow'),
    keepaliveTimeout: own.counter('keepalive_timeout'),
    rxMessagingError: own.counter('rx_messaging_error'),
    rxReset: own.counter('rx_reset'),
    txReset: own.counter('tx_reset'),
    txFlushTimeout: own.counter('tx_flush_timeout'),
    streamRefusedErrors: own.counter('stream_refused_errors'),
    trailers: own.counter('trailers'),
    streamsActive: own.gauge('streams_active'),
    pendingSendBytes: own.gauge('pending_send_bytes'),
  };
}
