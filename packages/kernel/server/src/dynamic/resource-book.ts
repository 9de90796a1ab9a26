import { type DescMessage, type Message, toBinary } from '@dragoman/api';
import type {
  ConfigSubscription,
  ConfigSubscriptions,
  ConfigUpdate,
  Logger,
  StatsScope,
} from '@dragoman/core';
import { type FoundReference, referencesIn } from './references.ts';
import { type ResourceOrder, resourceKey } from './resource-order.ts';

/** The threads that use resources, all of them together. */
export interface ResourceThreads {
  /** Rejects with ConfigError when one of them refuses it; it may be prepared on others then. */
  prepareResource(order: ResourceOrder): Promise<void>;
  commitResource(order: ResourceOrder): void;
  abortResource(key: string): void;
  forgetResource(key: string): void;
}

export interface ResourceBookOptions {
  readonly subscriptions: ConfigSubscriptions;
  readonly threads: ResourceThreads;
  /** The server's root. */
  readonly stats: StatsScope;
  readonly logger: Logger;
  /** Wall time in ms. */
  readonly wallTime: () => number;
}

/** Resources that somebody needs, as long as he does. */
export interface Hold {
  /** False: there is nothing to wait for. */
  readonly waits: boolean;
  /** Each has come, or is not waited for any more. Never rejects. */
  readonly ready: Promise<void>;
  /** They are not needed any more. Once is enough. */
  release(): void;
}

/** What came of a resource, for whoever looks. */
export interface KnownResource {
  readonly type: DescMessage;
  readonly name: string;
  readonly source: unknown;
  /** In place; undefined: nothing is. */
  readonly message: Message | undefined;
  readonly version: string;
  /** Wall time in ms of {@link message}. */
  readonly updatedAt: number | undefined;
  /** What was refused last, since {@link message}. */
  readonly failure: ResourceFailure | undefined;
}

export interface ResourceFailure {
  readonly message: Message;
  readonly version: string;
  readonly details: string;
  /** Wall time in ms. */
  readonly at: number;
}

/**
 * What listeners and clusters name in place of holding it, on main: one subscription for each resource of each source, whoever names it,
 * and its versions on their way to the threads.
 */
export class ResourceBook {
  private readonly options: ResourceBookOptions;
  private readonly entries = new Map<string, Entry>();

  constructor(options: ResourceBookOptions) {
    this.options = options;
  }

  get resources(): readonly KnownResource[] {
    return [...this.entries.values()];
  }

  /**
   * Subscribes to everything that a config names.
   * @throws ConfigError for a source that cannot be had; nothing is held then
   */
  hold(config: Message, type: DescMessage): Hold {
    const held: Entry[] = [];
    let released = false;
    const release = (): void => {
      if (released) return;
      released = true;
      for (const entry of held) this.release(entry);
    };
    try {
      for (const reference of referencesIn(config, type)) held.push(this.acquire(reference));
    } catch (error) {
      release();
      throw error;
    }
    const ready = Promise.all(held.map((entry) => entry.first)).then(() => {});
    return { waits: held.some((entry) => !entry.settled), ready, release };
  }

  /** Every subscription ends. */
  close(): void {
    for (const entry of this.entries.values()) entry.stop();
    this.entries.clear();
  }

  private acquire(reference: FoundReference): Entry {
    const key = resourceKey(reference);
    let entry = this.entries.get(key);
    if (entry === undefined) {
      entry = new Entry(key, reference, this, this.options);
      this.entries.set(key, entry);
      try {
        entry.start();
      } catch (error) {
        this.entries.delete(key);
        throw error;
      }
    }
    entry.holders++;
    return entry;
  }

  private release(entry: Entry): void {
    entry.holders--;
    if (entry.holders > 0 || this.entries.get(entry.key) !== entry) return;
    this.entries.delete(entry.key);
    entry.stop();
    this.options.threads.forgetResource(entry.key);
  }
}

class Entry implements KnownResource {
  readonly key: string;
  readonly type: DescMessage;
  readonly name: string;
  readonly source: unknown;
  /** Settles with the first version, or when none is waited for. */
  readonly first: Promise<void>;
  holders = 0;
  /** {@link first} has settled. */
  settled = false;
  message: Message | undefined = undefined;
  version = '';
  updatedAt: number | undefined = undefined;
  failure: ResourceFailure | undefined = undefined;
  private readonly reference: FoundReference;
  private readonly book: ResourceBook;
  private readonly options: ResourceBookOptions;
  private readonly arrived: () => void;
  private subscription: ConfigSubscription | undefined = undefined;
  /** What {@link message} itself names. */
  private nested: Hold | undefined = undefined;
  private stopped = false;

  constructor(key: string, reference: FoundReference, book: ResourceBook, options: ResourceBookOptions) {
    this.key = key;
    this.type = reference.type;
    this.name = reference.name;
    this.source = reference.source;
    this.reference = reference;
    this.book = book;
    this.options = options;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.first = promise;
    this.arrived = () => {
      this.settled = true;
      resolve();
    };
  }

  start(): void {
    const { subscriptions, stats, logger } = this.options;
    const { type, source, name, statPrefix } = this.reference;
    this.subscription = subscriptions.subscribe({
      source,
      type,
      names: [name],
      stats: stats.scope(statPrefix),
      callbacks: {
        onUpdate: (update) => this.onUpdate(update),
        onFailure: (reason, details) => {
          logger.debug(`${type.typeName} "${name}": ${reason}: ${details}`);
          // Whoever waits goes on waiting for a server that cannot be reached, until the time is over.
          if (reason !== 'connection') this.arrived();
        },
      },
    });
    if (this.stopped) this.subscription.stop();
  }

  stop(): void {
    this.stopped = true;
    this.subscription?.stop();
    this.nested?.release();
    this.nested = undefined;
    this.arrived();
  }

  private async onUpdate({ changed, removed, versionInfo }: ConfigUpdate): Promise<void> {
    const found = changed.find(
      ({ name, aliases }) => name === this.name || aliases?.includes(this.name) === true,
    );
    if (found !== undefined) await this.put(found.message, found.version || versionInfo);
    else if (removed.includes(this.name)) await this.remove();
    this.arrived();
  }

  private async put(message: Message, version: string): Promise<void> {
    const { threads, wallTime } = this.options;
    let nested: Hold | undefined;
    try {
      nested = this.book.hold(message, this.type);
      await nested.ready;
      await this.distribute({ key: this.key, value: toBinary(this.type, message) });
    } catch (error) {
      nested?.release();
      const details = (error as Error).message;
      this.failure = { message, version, details, at: wallTime() };
      throw error;
    }
    if (this.stopped) {
      nested.release();
      threads.forgetResource(this.key);
      return;
    }
    this.nested?.release();
    this.nested = nested;
    this.message = message;
    this.version = version;
    this.updatedAt = wallTime();
    this.failure = undefined;
  }

  private async remove(): Promise<void> {
    await this.distribute({ key: this.key, value: undefined });
    this.nested?.release();
    this.nested = undefined;
    this.message = undefined;
    this.version = '';
  }

  private async distribute(order: ResourceOrder): Promise<void> {
    const { threads } = this.options;
    try {
      await threads.prepareResource(order);
    } catch (error) {
      threads.abortResource(this.key);
      throw error;
    }
    threads.commitResource(order);
  }
}
