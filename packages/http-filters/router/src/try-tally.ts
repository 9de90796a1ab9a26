import type {
  Clock,
  ClusterInfo,
  Histogram,
  HeaderMap,
  MessageSizeStats,
  RequestHeaders,
  TimeoutBudgetStats,
} from '@dragoman/core';
import type { Timeouts } from './timeouts.ts';

/** Measures one try, for `track_cluster_stats`. Made only where its cluster has that. */
export class TryTally {
  private readonly clock: Clock;
  private readonly budgets: TimeoutBudgetStats | undefined;
  private readonly sizes: MessageSizeStats | undefined;
  private readonly perTryMs: number;
  private readonly request: RequestHeaders;
  private readonly begun: number;
  private bytesSent = 0;
  private bytesReceived = 0;
  private responseHeaders = 0;
  private responseHeaderBytes = 0;
  private ended = false;

  private constructor(info: ClusterInfo, clock: Clock, timeouts: Timeouts, request: RequestHeaders) {
    this.clock = clock;
    this.budgets = info.timeoutBudgets;
    this.sizes = info.messageSizes;
    this.perTryMs = timeouts.perTryMs;
    this.request = request;
    this.begun = clock.now();
  }

  static of(
    info: ClusterInfo,
    clock: Clock,
    timeouts: Timeouts,
    request: RequestHeaders,
  ): TryTally | undefined {
    if (info.timeoutBudgets === undefined && info.messageSizes === undefined) return undefined;
    return new TryTally(info, clock, timeouts, request);
  }

  sent(bytes: number): void {
    this.bytesSent += bytes;
  }

  received(bytes: number): void {
    this.bytesReceived += bytes;
  }

  /** Of the answer, and of every 1xx before it. */
  onHeaders(headers: HeaderMap): void {
    if (this.sizes === undefined) return;
    this.responseHeaders += linesOf(headers);
    this.responseHeaderBytes += headers.byteSize();
  }

  /** The try is over; only the first call counts. */
  end(): void {
    if (this.ended) return;
    this.ended = true;
    const { budgets, sizes, request } = this;
    if (budgets !== undefined) recordPercentage(budgets.perTry, this.clock.now() - this.begun, this.perTryMs);
    if (sizes === undefined) return;
    sizes.rqHeadersSize.record(request.byteSize());
    sizes.rqHeadersCount.record(linesOf(request));
    sizes.rqBodySize.record(this.bytesSent);
    if (this.responseHeaders === 0) return;
    sizes.rsHeadersSize.record(this.responseHeaderBytes);
    sizes.rsHeadersCount.record(this.responseHeaders);
    sizes.rsBodySize.record(this.bytesReceived);
  }
}

/** Pseudo-headers count, as in Envoy. */
function linesOf(headers: HeaderMap): number {
  let lines = 0;
  headers.forEach(() => {
    lines++;
  });
  return lines;
}

/** How much of a timeout was used, in whole percent; 0 of one without end. */
export function recordPercentage(histogram: Histogram, usedMs: number, timeoutMs: number): void {
  histogram.record(timeoutMs > 0 ? Math.floor((Math.floor(usedMs) * 100) / timeoutMs) : 0);
}
