import { type DescMessage, type Message, TypedExtensionConfigSchema } from '@dragoman/api';
import type {
  ConfigSubscription,
  ConfigUpdate,
  Counter,
  StatsLease,
  StatsScope,
  SubscriptionFailure,
} from '@dragoman/core';
import type {
  Held,
  Hold,
  KnownResource,
  ResourceBook,
  ResourceBookOptions,
  ResourceFailure,
} from './resource-book.ts';
import { askedFor, type Found } from './references.ts';
import { ReloadStats } from './reload-stats.ts';
import type { ResourceOrder } from './resource-order.ts';

/** What subscriptions to one resource and to many have in common. */
export abstract class HeldBase<F extends Found> implements Held {
  readonly key: string;
  readonly first: Promise<void>;
  holders = 0;
  settled = false;
  failure: ResourceFailure | undefined = undefined;
  readonly reference: F;
  protected readonly book: ResourceBook;
  protected readonly options: ResourceBookOptions;
  protected subscription: ConfigSubscription | undefined = undefined;
  protected stopped = false;
  /** Where the subscription counts. */
  protected readonly scope: StatsScope;
  private readonly lease: StatsLease;
  /** Of what has come and is not in place. */
  private awaited: readonly Hold[] = [];
  private readonly resolveFirst: () => void;
  private readonly reloads: ReloadStats;
  /** Of configs of filters only, as in Envoy. */
  private readonly failures: Counter | undefined;

  constructor(key: string, reference: F, book: ResourceBook, options: ResourceBookOptions) {
    this.key = key;
    this.reference = reference;
    this.book = book;
    this.options = options;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.first = promise;
    this.resolveFirst = resolve;
    this.lease = options.stats.lease();
    this.scope = this.lease.stats.scope(reference.statPrefix);
    const { scope } = this;
    this.reloads = new ReloadStats(scope, options.wallTime);
    const isFilter = reference.type.typeName === TypedExtensionConfigSchema.typeName;
    this.failures = isFilter ? scope.counter('config_fail') : undefined;
  }

  get missing(): readonly Found[] {
    return this.awaited.flatMap(({ missing }) => missing);
  }

  abstract get resources(): readonly KnownResource[];

  start(): void {
    const { type, source } = this.reference;
    this.subscription = this.options.subscriptions.subscribe({
      source,
      type,
      ...askedFor(this.reference),
      stats: this.scope,
      callbacks: { onUpdate: (update) => this.onUpdate(update), onFailure: this.onFailure },
    });
    if (this.stopped) this.subscription.stop();
  }

  stop(): void {
    this.stopped = true;
    this.subscription?.stop();
    this.lease.release();
    this.arrived();
  }

  protected abstract onUpdate(update: ConfigUpdate): Promise<void>;

  protected arrived(): void {
    this.settled = true;
    this.resolveFirst();
  }

  /** Resolves when everything is there that a new version names. */
  protected async whenReady(holds: readonly Hold[]): Promise<void> {
    this.awaited = holds;
    await Promise.all(holds.map(({ ready }) => ready));
    this.awaited = [];
  }

  abstract covers(type: DescMessage, name: string): boolean;
  abstract check(name: string, message: Message): Promise<void>;

  protected checkOrder(order: ResourceOrder): Promise<void> {
    return this.book.inTurn(this.key, () => this.options.threads.checkResource(order));
  }

  protected readonly onFailure = (reason: SubscriptionFailure, details: string): void => {
    this.options.logger.debug(`${this.key}: ${reason}: ${details}`);
    this.failures?.inc();
    // Whoever waits goes on waiting for a server that cannot be reached, until the time is over.
    if (reason !== 'connection') this.arrived();
  };

  /**
   * In two steps: every user on every thread compiles it, then all have it. Rejects with ConfigError; nobody has it then.
   * @returns false: nobody wants it any more, and nobody has it
   */
  protected distribute(order: ResourceOrder): Promise<boolean> {
    const { threads } = this.options;
    return this.book.inTurn(this.key, async () => {
      if (this.stopped) return false;
      try {
        await threads.prepareResource(order);
      } catch (error) {
        threads.abortResource(this.key);
        throw error;
      }
      // Another may have been made of the same key meanwhile: what is in place is its own to say.
      if (this.stopped) {
        threads.abortResource(this.key);
        return false;
      }
      threads.commitResource(order);
      this.reloads.note();
      return true;
    });
  }
}
