import {
  type AccessLogger,
  type AccessLogType,
  type Clock,
  ResponseHeaders,
  StreamInfo,
  type TerminalHttpStream,
  type Timer,
  type Trailers,
} from '@dragoman/core';
import type { UpstreamRequest } from './upstream-request.ts';

/** `upstream_log` and `upstream_log_options`. */
export interface UpstreamLogs {
  readonly loggers: readonly AccessLogger[];
  /** `flush_upstream_log_on_upstream_stream`: an entry when a try has its connection. */
  readonly onPoolReady: boolean;
  /** `upstream_log_flush_interval`, milliseconds; 0: none. */
  readonly intervalMs: number;
}

/** The entries of one try: each has a stream info of its own. Made only where the router logs. */
export class TryLog {
  private readonly logs: UpstreamLogs;
  private readonly stream: TerminalHttpStream;
  private readonly clock: Clock;
  private readonly info: StreamInfo;
  private readonly timer: Timer | undefined;
  private headers: ResponseHeaders | undefined = undefined;
  private trailers: Trailers | undefined = undefined;
  private upstream: UpstreamRequest | undefined = undefined;
  private ended = false;

  constructor(logs: UpstreamLogs, stream: TerminalHttpStream, clock: Clock) {
    this.logs = logs;
    this.stream = stream;
    this.clock = clock;
    const { info } = stream;
    this.info = new StreamInfo(info.connection, clock.wallTime(), clock.now());
    this.info.route = info.route;
    this.info.remoteAddress = info.remoteAddress;
    this.info.requestId = info.requestId;
    this.info.upstreamCluster = info.upstreamCluster;
    this.info.upstreamClusterInfo = info.upstreamClusterInfo;
    this.info.upstreamRequestAttemptCount = info.upstreamRequestAttemptCount;
    this.timer = logs.intervalMs > 0 ? clock.timer(() => this.onInterval()) : undefined;
    this.timer?.enable(logs.intervalMs);
  }

  onPoolReady(upstream: UpstreamRequest): void {
    this.upstream = upstream;
    if (this.logs.onPoolReady) this.write('UpstreamPoolReady');
  }

  onHeaders(headers: ResponseHeaders): void {
    // What the route adds to the response is no part of the upstream's answer.
    this.headers = new ResponseHeaders();
    this.headers.status = headers.status;
    this.headers.appendAll(headers);
    this.info.responseCode = headers.status;
  }

  onBody(bytes: number): void {
    this.info.bytesReceived += bytes;
  }

  onTrailers(trailers: Trailers): void {
    this.trailers = trailers;
  }

  flag(flag: number): void {
    this.info.setResponseFlag(flag);
  }

  /** The try is over; only the first call counts. */
  end(upstream: UpstreamRequest): void {
    if (this.ended) return;
    this.ended = true;
    this.timer?.disable();
    this.upstream = upstream;
    this.info.end = this.clock.now();
    this.write('UpstreamEnd');
  }

  private onInterval(): void {
    this.write('UpstreamPeriodic');
    this.timer?.enable(this.logs.intervalMs);
  }

  private write(type: AccessLogType): void {
    const { info, stream, upstream } = this;
    upstream?.describe(info);
    info.protocol = info.upstreamProtocol;
    upstream?.countBytes(info);
    const context = {
      info,
      request: stream.requestHeaders,
      response: this.headers,
      requestTrailers: stream.requestTrailers,
      responseTrailers: this.trailers,
      type,
    };
    for (const logger of this.logs.loggers) logger.log(context);
  }
}
