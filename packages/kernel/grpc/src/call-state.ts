import type {
  Cluster,
  ClusterInfo,
  GrpcCall,
  GrpcCallOptions,
  GrpcCallStatus,
  HashValue,
  HeaderMap,
  Host,
  HostDescription,
  LoadBalancerContext,
  MetadataValue,
  RequestHeaders,
  ResponseHeaders,
  Span,
  StreamInfo,
  Timer,
} from '@dragoman/core';
import { encodeGrpcFrame } from '@dragoman/grpc-frames';
import type { Attempt } from './attempt.ts';
import { chargeResponse } from './charging.ts';
import type { ClientCore } from './client-core.ts';
import { Inbox, type InboxOwner } from './inbox.ts';
import { Outbox } from './outbox.ts';
import { saysEnvoy } from './request-headers.ts';
import type { Retries } from './retries.ts';
import { endSpan } from './spans.ts';

export const NO_OPTIONS: GrpcCallOptions = {};

/**
 * All that one call has, and its end: once, letting go of everything. What happens on the way there is Exchange's, what its user sees is for
 * the classes below that.
 */
export abstract class CallState implements InboxOwner, LoadBalancerContext, GrpcCall {
  protected readonly core: ClientCore;
  protected readonly path: string;
  protected options: GrpcCallOptions;
  protected over = false;
  protected readonly outbox: Outbox;
  protected readonly inbox: Inbox;
  /** It says that it comes from this proxy: it counts as internal. */
  protected readonly internal: boolean;
  protected span: Span | undefined = undefined;

  // --- Where it goes

  protected clusterNow: Cluster | undefined = undefined;
  protected attempt: Attempt | undefined = undefined;
  protected retries: Retries | undefined = undefined;
  /** This is not the first try. */
  protected retried = false;
  /** Some try has sent something. */
  protected started = false;
  host: HostDescription | undefined = undefined;
  requestHeaders: RequestHeaders | undefined = undefined;

  // --- How far it has come

  /** The answer is that of the try in hand: nothing is tried any more. */
  protected responding = false;
  protected responseHeaders: ResponseHeaders | undefined = undefined;
  /** When the last message was given; 0: more may come. */
  protected completeAt = 0;
  bytesSent = 0;
  bytesReceived = 0;

  // --- Times

  /** When its time is over, by the clock; 0: it has all the time. */
  protected deadline = 0;
  protected timer: Timer | undefined = undefined;
  protected durationTimer: Timer | undefined = undefined;

  /** @param keepLimit of sent messages, for retries, bytes */
  constructor(core: ClientCore, path: string, options: GrpcCallOptions, keepLimit: number) {
    this.core = core;
    this.path = path;
    this.options = options;
    this.internal = saysEnvoy(core, options);
    this.outbox = new Outbox(keepLimit);
    this.inbox = new Inbox(core.settings.maxReceiveBytes, this);
  }

  get cluster(): ClusterInfo | undefined {
    return this.clusterNow?.info;
  }

  /** The call is over; nothing more is called. */
  protected abstract onFinish(status: GrpcCallStatus, trailers: HeaderMap | undefined): void;
  abstract onPayload(payload: Buffer): void;

  onInboxFailure(status: GrpcCallStatus): void {
    this.finish(status, undefined);
  }

  /** Queues a message that is serialised. */
  protected queue(message: Uint8Array): void {
    this.outbox.add(encodeGrpcFrame(message));
  }

  /** No message follows those that are queued. */
  protected endQueue(): void {
    this.outbox.end();
    this.completeAt = this.core.clock.now();
  }

  // --- End ---------------------------------------------------------------------------------------------------------------

  cancel(): void {
    this.end(undefined);
  }

  /** Ends the call with a status, unless it is over. */
  protected finish(status: GrpcCallStatus, trailers: HeaderMap | undefined): void {
    if (!this.end(status)) return;
    this.core.settings.stats?.streamsClosed[status.code]?.inc();
    this.onFinish(status, trailers);
  }

  /** @param status undefined: cancelled */
  private end(status: GrpcCallStatus | undefined): boolean {
    if (this.over) return false;
    this.over = true;
    this.timer?.disable();
    this.durationTimer?.disable();
    this.retries?.close();
    this.retries = undefined;
    this.giveUpAttempt();
    this.outbox.clear();
    this.inbox.close();
    if (this.span !== undefined) endSpan(this.span, this.core.clock, status);
    this.span = undefined;
    this.options = NO_OPTIONS;
    this.requestHeaders = undefined;
    return true;
  }

  protected giveUpAttempt(): void {
    const { attempt } = this;
    this.attempt = undefined;
    if (attempt?.end() === true) this.cluster?.stats.upstreamRqTxReset.inc();
  }

  protected charge(status: number, headers: ResponseHeaders | undefined, host: Host | undefined): void {
    if (this.cluster !== undefined) chargeResponse(this.cluster, status, this.internal, headers, host);
  }

  /** A callback of the user's threw. */
  reportCallbackError(error: unknown): void {
    const { logger, settings } = this.core;
    const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
    logger.error(`a callback of the call ${this.path} to ${settings.destination} threw: ${what}`);
  }

  // --- LoadBalancerContext -----------------------------------------------------------------------------------------------

  get hash(): HashValue | undefined {
    return this.options.hash;
  }

  get info(): StreamInfo | undefined {
    return this.options.parent?.info;
  }

  get metadataMatch(): Readonly<Record<string, MetadataValue>> | undefined {
    return this.options.metadataMatch;
  }
}
