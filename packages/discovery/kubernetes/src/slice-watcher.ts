import {
  ApiClient,
  type ApiFailure,
  Backoff,
  BodyCollector,
  type HostReporter,
  LineSplitter,
  parseJson,
} from '@dragoman/api-discovery';
import type { Clock, Logger, RandomSource, Timer } from '@dragoman/core';
import type { KubernetesOptions } from './config.ts';
import { hostsOf } from './hosts.ts';
import { SliceStore } from './slice-store.ts';
import { readEvent, readPage } from './slices.ts';

export interface SliceWatcherContext {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly logger: Logger;
}

/** The largest object that etcd takes by default has 1.5 MiB; an event holds one. */
const MAX_EVENT_BYTES = 4 * 1024 * 1024;
/** Pages may be empty and yet not the last, so their number needs a bound of its own. */
const MAX_PAGES = 10_000;
/** A watch that lasted so long is a sign that all is well again. */
const STEADY_MS = 1_000;
/** After so many failures in a row, what is known is no longer gone on from. */
const MAX_WATCH_FAILURES = 5;

/**
 * Keeps up with the slices of a service: lists them, and watches from there on. A watch that ends goes on where it stopped; what
 * that cannot mend (410, an event that is no use) is mended by a new list. The hosts that are known stay meanwhile.
 */
export class SliceWatcher {
  private readonly options: KubernetesOptions;
  private readonly reporter: HostReporter;
  private readonly context: SliceWatcherContext;
  private readonly client: ApiClient;
  private readonly backoff: Backoff;
  private readonly timer: Timer;
  private readonly path: string;
  private store: SliceStore;
  private version = '';
  private next: 'list' | 'watch' = 'list';
  private watchedSince = 0;
  private stopped = false;

  constructor(options: KubernetesOptions, reporter: HostReporter, context: SliceWatcherContext) {
    const { server } = options;
    this.options = options;
    this.reporter = reporter;
    this.context = context;
    this.client = new ApiClient(server, (token) => ['authorization', `Bearer ${token}`], context.clock);
    this.backoff = new Backoff(server.backoff, context.random);
    this.timer = context.clock.timer(() => (this.next === 'list' ? this.list() : this.watch()));
    this.store = new SliceStore(options.maxEndpoints);
    this.path = `/apis/discovery.k8s.io/v1/namespaces/${options.namespace}/endpointslices`;
  }

  start(): void {
    this.list();
  }

  /** Nothing is reported any more. */
  stop(): void {
    this.stopped = true;
    this.timer.disable();
    this.client.close();
  }

  private list(): void {
    this.reporter.attempt();
    this.page(new SliceStore(this.options.maxEndpoints), '', 1);
  }

  private page(store: SliceStore, from: string, number: number): void {
    const { requestTimeoutMs, maxResponseBytes } = this.options.server;
    const body = new BodyCollector(maxResponseBytes);
    const query = { limit: `${this.options.pageSize}`, ...(from === '' ? {} : { continue: from }) };
    const request = { path: this.url(query), headMs: requestTimeoutMs, totalMs: requestTimeoutMs };
    this.client.get(request, {
      onData: (chunk) => body.push(chunk),
      onEnd: () => this.onPage(store, body, number),
      onFailure: (failure) => this.onListFailure(failure),
    });
  }

  private onPage(store: SliceStore, body: BodyCollector, number: number): void {
    let from: string;
    let version: string;
    try {
      const page = readPage(body.json());
      for (const slice of page.slices) {
        const refusal = store.set(slice);
        if (refusal !== undefined) throw new Error(refusal);
      }
      from = page.next;
      version = page.resourceVersion;
      if (from !== '' && number >= MAX_PAGES) throw new Error(`has more than ${MAX_PAGES} pages`);
    } catch (error) {
      this.reject(`the list ${(error as Error).message}`);
      return;
    }
    if (from !== '') {
      this.page(store, from, number + 1);
      return;
    }
    this.store = store;
    this.version = version;
    this.publish();
    // Whoever hears of hosts may stop their source.
    if (!this.stopped) this.watch();
  }

  private onListFailure({ reason, status, retryAfterMs, refused }: ApiFailure): void {
    // The list was begun too long ago to be gone on with.
    if (status === 410) this.listAnew(reason);
    else if (refused) this.reject(`the list: ${reason}`);
    else this.fail(`list: ${reason}`, 'list', retryAfterMs);
  }

  private watch(): void {
    const { watchMs, server } = this.options;
    // Spread, so that the proxies which were started together do not come back together.
    const seconds = Math.ceil((watchMs / 1000) * (1 + this.context.random.random()));
    const path = this.url({
      watch: '1',
      allowWatchBookmarks: 'true',
      resourceVersion: this.version,
      timeoutSeconds: `${seconds}`,
    });
    const { requestTimeoutMs } = server;
    const watch = new Watch(this.store, (version) => {
      this.version = version;
    });
    this.reporter.attempt();
    this.watchedSince = this.context.clock.now();
    this.client.get(
      { path, headMs: requestTimeoutMs, totalMs: seconds * 1000 + requestTimeoutMs },
      {
        onData: (chunk) => {
          const stop = watch.lines.push(chunk);
          if (watch.takeChanged()) this.publish();
          return stop;
        },
        onEnd: () => this.onWatchEnd(watch),
        onFailure: (failure) => this.onWatchFailure(watch, failure),
      },
    );
  }

  private onWatchEnd(watch: Watch): void {
    if (watch.lines.pendingBytes > 0) {
      this.settle();
      this.failWatch('ended in the middle of an event', 0);
    } else if (this.settle()) {
      this.watch();
    } else {
      // A server that ends each watch at once is not asked without pause.
      this.wait(this.afterWatch(), this.backoff.next());
    }
  }

  private onWatchFailure(watch: Watch, { reason, status, retryAfterMs, refused }: ApiFailure): void {
    this.settle();
    if (status === 410 || watch.gone) this.listAnew(reason);
    else if (watch.error) this.fail(`watch: ${reason}`, 'list', retryAfterMs);
    else if (refused) this.reject(`the watch ${reason}`);
    else this.failWatch(reason, retryAfterMs);
  }

  /** Whether the watch that is over lasted: then the next failure is the first one. */
  private settle(): boolean {
    const steady = this.context.clock.now() - this.watchedSince >= STEADY_MS;
    if (steady) this.backoff.reset();
    return steady;
  }

  private failWatch(reason: string, retryAfterMs: number): void {
    this.fail(`watch: ${reason}`, this.afterWatch(), retryAfterMs);
  }

  private afterWatch(): 'list' | 'watch' {
    return this.backoff.failures < MAX_WATCH_FAILURES ? 'watch' : 'list';
  }

  /** Expected now and then, so it is no failure; without a pause the first time only. */
  private listAnew(reason: string): void {
    const first = this.backoff.failures === 0;
    const delay = this.backoff.next();
    this.context.logger.debug(`kubernetes ${this.options.what}: listing anew: ${reason}`);
    if (first) this.list();
    else this.wait('list', delay);
  }

  private fail(reason: string, next: 'list' | 'watch', retryAfterMs: number): void {
    this.wait(next, this.backoff.next(retryAfterMs));
    this.reporter.failed(`${this.where} ${reason}`);
  }

  private reject(reason: string): void {
    this.wait('list', this.backoff.next());
    this.reporter.rejected(`${this.where} ${reason}`);
  }

  private wait(next: 'list' | 'watch', delayMs: number): void {
    this.next = next;
    this.timer.enable(delayMs);
  }

  private publish(): void {
    const { hosts, omitted, reason } = hostsOf(this.store.slices, this.options);
    this.reporter.omitted(omitted, `${this.where} ${reason}`);
    this.reporter.hosts(hosts);
  }

  private get where(): string {
    return `kubernetes ${this.options.what} at ${this.options.server.origin}:`;
  }

  private url(query: Readonly<Record<string, string>>): string {
    const params = new URLSearchParams({ labelSelector: this.options.labelSelector, ...query });
    return `${this.path}?${params}`;
  }
}

/** The events of one watch, put into the store as they come. */
class Watch {
  readonly lines: LineSplitter;
  /** The server no longer knows what the watch should have gone on from. */
  gone = false;
  /** The server ended the watch by an event. */
  error = false;
  private changed = false;

  constructor(store: SliceStore, onVersion: (version: string) => void) {
    this.lines = new LineSplitter(MAX_EVENT_BYTES, (line) => this.take(line, store, onVersion));
  }

  /** Whether the store has changed since this was asked last. */
  takeChanged(): boolean {
    const { changed } = this;
    this.changed = false;
    return changed;
  }

  private take(line: Buffer, store: SliceStore, onVersion: (version: string) => void): string | undefined {
    try {
      const event = readEvent(parseJson(line));
      if (event.type === 'error') {
        this.gone = event.gone;
        this.error = true;
        return event.reason;
      }
      if (event.type === 'set') {
        const refusal = store.set(event.slice);
        if (refusal !== undefined) return refusal;
      } else if (event.type === 'delete') {
        store.delete(event.name);
      }
      if (event.type !== 'bookmark') this.changed = true;
      onVersion(event.resourceVersion);
      return undefined;
    } catch (error) {
      return `sent a line that ${(error as Error).message}`;
    }
  }
}
