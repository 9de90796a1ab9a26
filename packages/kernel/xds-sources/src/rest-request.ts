import {
  type Cancellable,
  type Clock,
  type Cluster,
  type ConnectionInfo,
  type Host,
  type HttpPoolCallbacks,
  type PoolFailureReason,
  type PoolWishes,
  type RequestEncoder,
  type RequestHeaders,
  type ResponseDecoder,
  type ResponseHeaders,
  StreamInfo,
  type StreamResetReason,
  type Timer,
  wellKnownId,
} from '@dragoman/core';

const ID_CONTENT_LENGTH = wellKnownId('content-length');
const ID_CANARY = wellKnownId('x-envoy-upstream-canary');

export interface RestRequestOptions {
  readonly clock: Clock;
  readonly cluster: Cluster;
  /** Stands for the connection of a client: the request is this proxy's own. */
  readonly connection: ConnectionInfo;
  readonly headers: RequestHeaders;
  readonly body: Buffer;
  readonly timeoutMs: number;
  /** Of the answer, bytes. */
  readonly maxBytes: number;
  /** Either of the two is called, once, and perhaps before {@link RestRequest.start} returns. Not after {@link RestRequest.cancel}. */
  onAnswer(status: number, body: Buffer): void;
  onFailure(details: string): void;
}

/** One request through a cluster, whose whole answer is wanted. Counted in the stats of the cluster as Envoy's own requests are: internal ones. */
export class RestRequest implements ResponseDecoder, HttpPoolCallbacks {
  private readonly options: RestRequestOptions;
  private readonly timer: Timer;
  private waiting: Cancellable | undefined = undefined;
  private encoder: RequestEncoder | undefined = undefined;
  private host: Host | undefined = undefined;
  private headers: ResponseHeaders | undefined = undefined;
  private readonly chunks: Buffer[] = [];
  private bytes = 0;
  private begun = 0;
  private over = false;

  constructor(options: RestRequestOptions) {
    this.options = options;
    this.timer = options.clock.timer(() => this.onTimeout());
  }

  start(): void {
    const { cluster, timeoutMs } = this.options;
    const { info } = cluster;
    if (info.maintenanceMode) {
      info.stats.upstreamRqMaintenanceMode.inc();
      this.giveUp(503, undefined, 'the cluster is in maintenance mode');
      return;
    }
    const host = cluster.chooseHost(undefined);
    if (host === undefined) {
      this.giveUp(503, undefined, 'no healthy upstream');
      return;
    }
    const { maxStreamDurationMs } = info;
    this.timer.enable(maxStreamDurationMs > 0 ? Math.min(timeoutMs, maxStreamDurationMs) : timeoutMs);
    const waiting = cluster.httpPool(host, 'default', this.wishes()).newStream(this, this);
    if (this.over) waiting?.cancel();
    else if (this.encoder === undefined) this.waiting = waiting;
  }

  cancel(): void {
    this.end();
  }

  // --- HttpPoolCallbacks -------------------------------------------------------------------------------------------------

  onPoolReady(encoder: RequestEncoder, host: Host): void {
    this.waiting = undefined;
    if (this.over) {
      encoder.reset('local-reset');
      return;
    }
    this.encoder = encoder;
    this.host = host;
    this.begun = this.options.clock.now();
    encoder.headers(this.options.headers, false);
    if (!this.over) encoder.body(this.options.body, true, true);
  }

  onPoolFailure(reason: PoolFailureReason, details: string, host: Host | undefined): void {
    this.waiting = undefined;
    const why = details === '' ? reason : `${reason}: ${details}`;
    this.giveUp(503, host, `no connection to ${host?.address.toString() ?? 'the cluster'}: ${why}`);
  }

  // --- ResponseDecoder ---------------------------------------------------------------------------------------------------

  onInformational(): void {}

  onHeaders(headers: ResponseHeaders, endStream: boolean): void {
    if (this.over) return;
    const { status } = headers;
    const { host } = this;
    this.headers = headers;
    this.charge(status, host);
    if (host !== undefined) (status < 500 ? host.stats.rqSuccess : host.stats.rqError).inc();
    if (endStream) this.complete();
    else if (Number(headers.getKnown(ID_CONTENT_LENGTH) ?? 0) > this.options.maxBytes) this.tooLong();
  }

  onBody(chunk: Buffer, endStream: boolean): boolean {
    if (this.over) return true;
    this.bytes += chunk.length;
    if (this.bytes > this.options.maxBytes) {
      this.tooLong();
      return true;
    }
    // The chunk is lent.
    this.chunks.push(Buffer.from(chunk));
    if (endStream) this.complete();
    return true;
  }

  onTrailers(): void {
    this.complete();
  }

  onReset(reason: StreamResetReason, details: string): void {
    this.encoder = undefined;
    if (this.over) return;
    this.options.cluster.info.stats.upstreamRqRxReset.inc();
    const text = `the connection broke: ${details === '' ? reason : `${reason}: ${details}`}`;
    if (this.headers === undefined) this.giveUp(503, this.host, text);
    else this.fail(text);
  }

  /** The request has one chunk. */
  onWritable(): void {}

  // --- Ends --------------------------------------------------------------------------------------------------------------

  private complete(): void {
    if (this.over) return;
    const { clock, cluster } = this.options;
    const { headers } = this;
    const ms = Math.round(clock.now() - this.begun);
    cluster.info.chargeResponseTime(ms, true, this.canary, this.host);
    this.encoder = undefined;
    this.end();
    this.options.onAnswer(headers?.status ?? 0, Buffer.concat(this.chunks));
  }

  private tooLong(): void {
    this.fail(`the response has more than ${this.options.maxBytes} bytes`);
  }

  private onTimeout(): void {
    const { cluster, timeoutMs } = this.options;
    const { info } = cluster;
    const { host } = this;
    const limit = info.maxStreamDurationMs;
    if (limit > 0 && limit < timeoutMs) info.stats.upstreamRqMaxDurationReached.inc();
    else {
      info.stats.upstreamRqTimeout.inc();
      host?.stats.rqTimeout.inc();
    }
    const text = `no answer within ${Math.min(timeoutMs, limit > 0 ? limit : timeoutMs)} ms`;
    if (this.headers === undefined) this.giveUp(504, host, text);
    else this.fail(text);
  }

  /** Ends without an answer. */
  private giveUp(status: number, host: Host | undefined, details: string): void {
    host?.stats.rqError.inc();
    this.charge(status, host);
    this.fail(details);
  }

  private fail(details: string): void {
    if (this.over) return;
    this.end();
    this.options.onFailure(details);
  }

  private end(): void {
    if (this.over) return;
    this.over = true;
    this.timer.disable();
    this.waiting?.cancel();
    this.waiting = undefined;
    if (this.encoder !== undefined) {
      this.options.cluster.info.stats.upstreamRqTxReset.inc();
      this.encoder.reset('local-reset');
    }
    this.encoder = undefined;
  }

  private charge(status: number, host: Host | undefined): void {
    this.options.cluster.info.chargeResponse(status, true, this.canary, host);
  }

  private get canary(): boolean {
    return this.headers?.getKnown(ID_CANARY) === 'true' || this.host?.canary === true;
  }

  /** What the cluster makes of the request for its transport, e.g. SNI from the authority. */
  private wishes(): PoolWishes | undefined {
    const { cluster, clock, connection, headers } = this.options;
    const { transportOptions } = cluster.info;
    if (transportOptions === undefined) return undefined;
    const info = new StreamInfo(connection, clock.wallTime(), clock.now());
    return { transport: transportOptions(headers, info) };
  }
}
