import type { DescMessage, Node } from '@dragoman/api';
import {
  type Clock,
  describeGrpcStatus,
  type GrpcCallStatus,
  type Logger,
  type StatsScope,
} from '@dragoman/core';
import { ControlPlaneStats } from './control-plane-stats.ts';
import { discoveryType } from './discovery-types.ts';
import { FailoverLink, type Link, type LinkUser, type OpenLink } from './link.ts';
import { PauseBook } from './pause-book.ts';
import type { AnyRequest } from './protocol.ts';
import { type RequestLimit, RequestLimiter } from './request-limiter.ts';
import { type ChannelHost, type ChannelOptions, TypeChannel } from './type-channel.ts';
import type { Watch } from './watch.ts';

/** What goes with a stream's config. */
export interface MuxSource<Q, R> {
  /** One, or two of which the second stands in for the first. */
  readonly servers: readonly OpenLink<Q, R>[];
  /** For logs: a cluster, a target. */
  readonly destination: string;
  /** Undefined: none. */
  readonly limit: RequestLimit | undefined;
  readonly nodeOnFirstMessageOnly: boolean;
}

export interface MuxOptions<Q extends AnyRequest, R> {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly node: Node;
  /** Several types share it: some wait for others. */
  readonly aggregated: boolean;
  /** For logs: `StreamAggregatedResources`. */
  readonly method: string;
  readonly isPaused: (typeUrl: string) => boolean;
  readonly channel: Pick<ChannelOptions<Q, R>, 'reader' | 'createProtocol'>;
}

/** Fields that responses of both protocols have. */
interface AnyResponse {
  readonly typeUrl: string;
  readonly controlPlane?: { readonly identifier: string } | undefined;
}

/** Waiting responses of all types above which nothing is read from the stream, and from which on it is again. */
const MAX_WAITING = 16;
const RESUME_AT = 4;
/** Acknowledgements that may wait to be sent. */
const MAX_ACKS = 256;

/** Types on one stream: which request is next, when nothing is read, what waits for what. */
export class Mux<Q extends AnyRequest, R extends AnyResponse> implements LinkUser<Q, R>, ChannelHost {
  readonly channels = new Map<string, TypeChannel<Q, R>>();
  readonly stats = new ControlPlaneStats();
  private readonly options: MuxOptions<Q, R>;
  private readonly holds = new PauseBook(() => this.flush());
  private source: MuxSource<Q, R> | undefined = undefined;
  private failover: FailoverLink<Q, R> | undefined = undefined;
  private limiter: RequestLimiter | undefined = undefined;
  private link: Link<Q> | undefined = undefined;
  private nodeSent = false;
  private flushing = false;
  private reading = true;
  private lastFailure = 0;
  private closed = false;

  constructor(options: MuxOptions<Q, R>) {
    this.options = options;
  }

  get destination(): string {
    return this.source?.destination ?? '';
  }

  /** Opens the stream; a second call replaces the servers: what is known stays until they say otherwise. */
  connect(source: MuxSource<Q, R>): void {
    const replaced = this.failover !== undefined;
    this.failover?.close();
    this.limiter?.close();
    this.link = undefined;
    this.stats.setConnected(0);
    this.source = source;
    this.lastFailure = 0;
    const { clock } = this.options;
    this.limiter =
      source.limit === undefined ? undefined : new RequestLimiter(clock, source.limit, () => this.flush());
    this.failover = new FailoverLink(source.servers, clock, this, replaced);
    this.failover.start();
  }

  get connected(): boolean {
    return this.failover !== undefined;
  }

  subscribe(schema: DescMessage, typeUrl: string, watch: Watch, scope: StatsScope | undefined): () => void {
    if (scope !== undefined) this.stats.attach(scope);
    const channel = this.channelOf(schema, typeUrl);
    channel.addWatch(watch);
    return () => {
      channel.removeWatch(watch);
      if (scope !== undefined) this.stats.detach(scope);
    };
  }

  channelOf(schema: DescMessage, typeUrl: string): TypeChannel<Q, R> {
    const known = this.channels.get(typeUrl);
    if (known !== undefined) return known;
    const { clock, logger, channel } = this.options;
    const made = new TypeChannel<Q, R>({
      ...channel,
      typeUrl,
      schema,
      type: discoveryType(schema),
      clock,
      logger,
      host: this,
    });
    made.opened(true);
    this.channels.set(typeUrl, made);
    return made;
  }

  get unused(): boolean {
    for (const { watches } of this.channels.values()) if (watches.size > 0) return false;
    return true;
  }

  /** Types that were paused are so no longer. */
  resumed(): void {
    this.flush();
  }

  close(): void {
    this.closed = true;
    this.link = undefined;
    this.limiter?.close();
    this.failover?.close();
    for (const channel of this.channels.values()) channel.close();
    this.stats.setConnected(0);
    this.stats.setPendingRequests(0);
  }

  // --- LinkUser ------------------------------------------------------------------------------------------------------------

  onOpen(link: Link<Q>, sameServer: boolean): void {
    if (this.closed) return;
    this.link = link;
    this.nodeSent = false;
    this.reading = true;
    this.stats.setConnected(this.failover?.state ?? 0);
    for (const channel of this.channels.values()) channel.opened(sameServer);
    this.flush();
  }

  onMessage(response: R): void {
    if (this.closed) return;
    this.lastFailure = 0;
    const { controlPlane, typeUrl } = response;
    if (controlPlane !== undefined) this.stats.setIdentifier(controlPlane.identifier);
    const channel = this.channels.get(typeUrl);
    if (channel === undefined) {
      const shown = typeUrl.length > 200 ? `${typeUrl.slice(0, 200)}…` : typeUrl;
      this.options.logger.debug(
        `${this.destination} has sent "${shown}", which nobody has asked for: ignored`,
      );
      return;
    }
    channel.receive(response);
  }

  onWritable(): void {
    this.flush();
  }

  onEnd(status: GrpcCallStatus): void {
    if (this.closed) return;
    this.link = undefined;
    this.stats.setConnected(0);
    this.stats.setPendingRequests(0);
    this.logEnd(status);
    const details = `${this.options.method} of ${this.destination} closed: ${status.code}, ${describeGrpcStatus(status)}`;
    // Subscribers may open further ones, of types that are not here yet: those have not failed.
    for (const channel of [...this.channels.values()]) channel.disconnected(details);
  }

  // --- ChannelHost ---------------------------------------------------------------------------------------------------------

  requestDue(): void {
    this.flush();
  }

  waitingChanged(): void {
    const { link } = this;
    if (link === undefined) return;
    let waiting = 0;
    let acks = 0;
    for (const channel of this.channels.values()) {
      waiting += channel.waitingResponses;
      acks += channel.protocol.acksPending;
    }
    if (this.reading && (waiting > MAX_WAITING || acks > MAX_ACKS)) {
      this.reading = false;
      link.pause();
    } else if (!this.reading && waiting <= RESUME_AT && acks <= MAX_ACKS / 2) {
      this.reading = true;
      link.resume();
    }
  }

  hold(typeUrls: readonly string[]): () => void {
    // On a stream of its own a type has none to wait for.
    return this.holds.pause(
      typeUrls.filter((typeUrl) => this.options.aggregated || this.channels.has(typeUrl)),
    );
  }

  // --- Requests ------------------------------------------------------------------------------------------------------------

  /** Sends what is due, answers first. */
  private flush(): void {
    if (this.flushing || this.closed) return;
    this.flushing = true;
    try {
      while (this.link?.writable === true) {
        const channel = this.nextChannel();
        if (channel === undefined) break;
        if (this.limiter?.take() === false) {
          this.stats.countRateLimited();
          break;
        }
        this.send(this.link, channel.takeRequest());
      }
    } finally {
      this.flushing = false;
    }
    if (this.link === undefined) return;
    this.stats.setPendingRequests(this.countPending());
    if (!this.reading) this.waitingChanged();
  }

  private send(link: Link<Q>, request: Q): void {
    const { node } = this.options;
    if (!this.nodeSent || this.source?.nodeOnFirstMessageOnly !== true) request.node = node;
    this.nodeSent = true;
    link.send(request);
  }

  private nextChannel(): TypeChannel<Q, R> | undefined {
    let first: TypeChannel<Q, R> | undefined;
    for (const channel of this.channels.values()) {
      if (this.isHeld(channel.typeUrl)) continue;
      if (channel.ackPending) return channel;
      if (first === undefined && channel.requestPending) first = channel;
    }
    return first;
  }

  private countPending(): number {
    let count = 0;
    for (const channel of this.channels.values())
      if (!this.isHeld(channel.typeUrl) && channel.requestPending)
        count += Math.max(1, channel.protocol.acksPending);
    return count;
  }

  private isHeld(typeUrl: string): boolean {
    return this.holds.isPaused(typeUrl) || this.options.isPaused(typeUrl);
  }

  /** The first of each kind of failure is told; until a response comes, what repeats is for debugging. */
  private logEnd(status: GrpcCallStatus): void {
    const { logger, method } = this.options;
    const text = `${method} gRPC config stream to ${this.destination} closed: ${status.code}, ${describeGrpcStatus(status)}`;
    if (status.code === 0 || status.code === this.lastFailure) logger.debug(text);
    else logger.warn(text);
    if (status.code !== 0) this.lastFailure = status.code;
  }
}
