import {
  ApiClient,
  type ApiFailure,
  type ApiHeaders,
  Backoff,
  BodyCollector,
  type HostReporter,
} from '@dragoman/api-discovery';
import type { Clock, RandomSource, Timer } from '@dragoman/core';
import type { ConsulOptions } from './config.ts';
import { readInstances } from './instances.ts';
import { nextIndex, staleness } from './query-index.ts';

export interface ServicePollerContext {
  readonly clock: Clock;
  readonly random: RandomSource;
}

/** Consul waits up to a sixteenth longer than it is asked to. */
const WAIT_FACTOR = 1 + 1 / 16;
/** Of a service that never stands still there is an answer a second; a couple of quick ones come before that (Consul asks clients to limit this). */
const REFILL_MS = 1_000;
const BURST = 2;

/** Asks for the instances of a service, and again whenever Consul has something new. */
export class ServicePoller {
  private readonly options: ConsulOptions;
  private readonly reporter: HostReporter;
  private readonly clock: Clock;
  private readonly client: ApiClient;
  private readonly backoff: Backoff;
  private readonly timer: Timer;
  private index = 0n;
  private tokens = BURST;
  private refilledAt: number;
  private stopped = false;

  constructor(options: ConsulOptions, reporter: HostReporter, { clock, random }: ServicePollerContext) {
    this.options = options;
    this.reporter = reporter;
    this.clock = clock;
    this.client = new ApiClient(options.server, (token) => ['x-consul-token', token], clock);
    this.backoff = new Backoff(options.server.backoff, random);
    this.timer = clock.timer(() => this.query());
    this.refilledAt = clock.now();
  }

  start(): void {
    this.query();
  }

  /** Nothing is reported any more. */
  stop(): void {
    this.stopped = true;
    this.timer.disable();
    this.client.close();
  }

  private query(): void {
    const { path, waitMs, server } = this.options;
    const body = new BodyCollector(server.maxResponseBytes);
    const waiting = this.index > 0n;
    const limitMs = server.requestTimeoutMs + (waiting ? waitMs * WAIT_FACTOR : 0);
    let headers: ApiHeaders = {};
    this.reporter.attempt();
    this.client.get(
      {
        path: waiting ? `${path}index=${this.index}&wait=${waitMs / 1000}s` : path.slice(0, -1),
        headMs: limitMs,
        totalMs: limitMs,
      },
      {
        onHead: (head) => {
          headers = head;
        },
        onData: (chunk) => body.push(chunk),
        onEnd: () => this.onAnswer(headers, body),
        onFailure: (failure) => this.onFailure(failure),
      },
    );
  }

  private onAnswer(headers: ApiHeaders, body: BodyCollector): void {
    const { options, reporter } = this;
    const stale = staleness(headers, options.maxStaleMs);
    // Old hosts are better than none, and worse than those that are known.
    if (stale !== undefined && reporter.published) {
      this.again(`${this.where} ${stale}`, (reason) => reporter.failed(reason));
      return;
    }
    try {
      const { hosts, omitted, reason } = readInstances(body.json(), options, options.maxInstances);
      reporter.omitted(omitted, `${this.where} ${reason}`);
      this.index = nextIndex(this.index, `${headers['x-consul-index'] ?? ''}`);
      this.backoff.reset();
      reporter.hosts(hosts);
    } catch (error) {
      this.again(`${this.where} the answer ${(error as Error).message}`, (text) => reporter.rejected(text));
      return;
    }
    // Whoever hears of hosts may stop their source.
    if (this.stopped) return;
    const pause = this.pauseMs();
    if (pause === 0) this.query();
    else this.timer.enable(pause);
  }

  private onFailure({ reason, retryAfterMs, refused }: ApiFailure): void {
    const { reporter } = this;
    this.again(
      `${this.where} ${reason}`,
      (text) => (refused ? reporter.rejected(text) : reporter.failed(text)),
      retryAfterMs,
    );
  }

  /** After a failure the next query does not wait for a change: what happened meanwhile is unknown. */
  private again(reason: string, report: (reason: string) => void, retryAfterMs = 0): void {
    this.index = 0n;
    this.timer.enable(this.backoff.next(retryAfterMs));
    report(reason);
  }

  /** How long the next query has to wait for its turn: 0 while there are tokens. */
  private pauseMs(): number {
    const now = this.clock.now();
    this.tokens = Math.min(BURST, this.tokens + (now - this.refilledAt) / REFILL_MS) - 1;
    this.refilledAt = now;
    return Math.max(0, -this.tokens * REFILL_MS);
  }

  private get where(): string {
    return `consul ${this.options.service} at ${this.options.server.origin}:`;
  }
}
