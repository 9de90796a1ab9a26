import type { DescMessage, Message } from '@dragoman/api';
import {
  atPath,
  type ConfigSubscriptions,
  type Logger,
  ProblemCollector,
  type ResourceReference,
  type StatsScope,
} from '@dragoman/core';
import { HeldCollection } from './held-collection.ts';
import { HeldResource } from './held-resource.ts';
import {
  askedFor,
  type Found,
  type FoundCollection,
  type FoundReference,
  referencesIn,
} from './references.ts';
import { collectionKey, type ResourceOrder, resourceKey } from './resource-order.ts';

/** The threads that use resources, all of them together. */
export interface ResourceThreads {
  /** Rejects with ConfigError when one of them refuses it; it may be prepared on others then. */
  prepareResource(order: ResourceOrder): Promise<void>;
  /** Rejects with ConfigError when one of them would refuse it. Nothing may be prepared meanwhile. */
  checkResource(order: ResourceOrder): Promise<void>;
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
  /** What is still waited for, with what that waits for in its turn. */
  readonly missing: readonly Found[];
  /** They are not needed any more. Once is enough. */
  release(): void;
}

/** What came of a resource, for whoever looks. */
export interface KnownResource {
  readonly type: DescMessage;
  /** Of the resource, with its collection's members by theirs. */
  readonly name: string;
  /** In place; undefined: nothing is. */
  readonly message: Message | undefined;
  /** Of {@link message}. */
  readonly version: string;
  /** Wall time in ms of {@link message}. */
  readonly updatedAt: number | undefined;
  /** What was refused last, since {@link message}. */
  readonly failure: ResourceFailure | undefined;
}

export interface ResourceFailure {
  /** Undefined: nobody knows which of several resources is to blame. */
  readonly message: Message | undefined;
  readonly version: string;
  readonly details: string;
  /** Wall time in ms. */
  readonly at: number;
}

/** A subscription of the book. */
export interface Held {
  readonly key: string;
  readonly reference: Found;
  holders: number;
  /** {@link first} has settled. */
  readonly settled: boolean;
  /** Settles with the first version, or when none is waited for. */
  readonly first: Promise<void>;
  readonly resources: readonly KnownResource[];
  /** What a version that has come names, and waits for. */
  readonly missing: readonly Found[];
  /** What was refused last, since the last that was not. */
  readonly failure: ResourceFailure | undefined;
  /** Could be this resource, or a member of these. */
  covers(type: DescMessage, name: string): boolean;
  /** Whether a version would be taken over. Rejects with ConfigError, paths below the resource. */
  check(name: string, message: Message): Promise<void>;
  /** @throws ConfigError for a source that cannot be had */
  start(): void;
  stop(): void;
}

/**
 * What listeners and clusters name in place of holding it, on main: one subscription for each resource or collection of each source,
 * whoever names it, and its versions on their way to the threads.
 */
export class ResourceBook {
  private readonly options: ResourceBookOptions;
  private readonly entries = new Map<string, Held>();
  /** Those that requests have asked for: kept. */
  private readonly demanded = new Map<string, Held>();
  /** By key, where something is under way. */
  private readonly turns = new Map<string, Promise<void>>();

  constructor(options: ResourceBookOptions) {
    this.options = options;
  }

  /** Everything that somebody needs by now. */
  get held(): readonly Held[] {
    return [...this.entries.values()];
  }

  /**
   * Subscribes to everything that a config names.
   * @throws ConfigError for a source that cannot be had; nothing is held then
   */
  hold(config: Message, type: DescMessage): Hold {
    return this.holdAll(referencesIn(config, type));
  }

  /**
   * Looks at the config sources that a config names, without asking them for anything.
   * @throws ConfigError with every problem, paths below the config
   */
  check(config: Message, type: DescMessage): void {
    const problems = new ProblemCollector();
    for (const reference of referencesIn(config, type))
      problems.try(reference.path, () => this.checkSource(reference));
    problems.throwIfAny();
  }

  private checkSource(reference: Found): void {
    const { names, namespaced } = askedFor(reference);
    this.options.subscriptions.check(reference.source, reference.type, names, namespaced);
  }

  /**
   * @param namedBy the resource that names them. Of its own type it waits for none: updates of a type come one after the other, and the
   * next one only when this one is in place
   * @throws ConfigError for a source that cannot be had; nothing is held then
   */
  holdAll(references: readonly Found[], namedBy?: Pick<KnownResource, 'type'> & Pick<Held, 'key'>): Hold {
    const held: { readonly entry: Held; readonly waits: boolean }[] = [];
    let released = false;
    const release = (): void => {
      if (released) return;
      released = true;
      for (const { entry } of held) this.release(entry);
    };
    try {
      for (const reference of references) {
        // One that names itself would hold itself for ever.
        if (keyOf(reference) === namedBy?.key) continue;
        held.push({
          entry: atPath(reference.path, () => this.acquire(reference)),
          waits: reference.waits && reference.type.typeName !== namedBy?.type.typeName,
        });
      }
    } catch (error) {
      release();
      throw error;
    }
    const awaited = held.filter(({ waits, entry }) => waits && !entry.settled).map(({ entry }) => entry);
    const ready = Promise.all(awaited.map(({ first }) => first)).then(() => {});
    return {
      waits: awaited.length > 0,
      ready,
      get missing() {
        const open = awaited.filter(({ settled }) => !settled);
        return open.flatMap(({ reference, missing }) => [reference, ...missing]);
      },
      release,
    };
  }

  /**
   * A request needs a resource that no config names: one of a collection that is there, or one by itself. Fulfilled with whether it is in place, on
   * every thread. Never rejects.
   */
  async demand(reference: ResourceReference): Promise<boolean> {
    for (const entry of this.entries.values())
      if (entry instanceof HeldCollection && entry.has(reference)) return entry.demand(reference.name);
    const key = resourceKey(reference);
    let entry = this.demanded.get(key) ?? this.entries.get(key);
    if (entry === undefined) {
      if (this.demanded.size >= MAX_DEMANDED) return false;
      try {
        entry = this.acquire({
          ...reference,
          kind: 'single',
          statPrefix: `on_demand.${reference.type.typeName}`,
          path: '',
          waits: true,
        });
      } catch (error) {
        this.options.logger.warn(`"${reference.name}" cannot be had on demand: ${(error as Error).message}`);
        return false;
      }
      this.demanded.set(key, entry);
    }
    await entry.first;
    return entry.resources.some(({ message }) => message !== undefined);
  }

  /** What is done about a key comes one after the other: who holds it anew does not overtake who has just let go of it. */
  inTurn<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.turns.get(key);
    const result = before === undefined ? work() : before.then(work);
    const over: Promise<void> = result
      .then(
        () => {},
        () => {},
      )
      .then(() => {
        if (this.turns.get(key) === over) this.turns.delete(key);
      });
    this.turns.set(key, over);
    return result;
  }

  /** Every subscription ends. */
  close(): void {
    for (const entry of this.entries.values()) entry.stop();
    this.entries.clear();
    this.demanded.clear();
  }

  private acquire(reference: Found): Held {
    const key = keyOf(reference);
    let entry = this.entries.get(key);
    if (entry === undefined) {
      entry = this.create(key, reference);
      this.entries.set(key, entry);
      try {
        entry.start();
      } catch (error) {
        this.entries.delete(key);
        entry.stop();
        throw error;
      }
    }
    entry.holders++;
    return entry;
  }

  private create(key: string, reference: FoundReference | FoundCollection): Held {
    return reference.kind === 'single'
      ? new HeldResource(key, reference, this, this.options)
      : new HeldCollection(key, reference, this, this.options);
  }

  private release(entry: Held): void {
    entry.holders--;
    if (entry.holders > 0 || this.entries.get(entry.key) !== entry) return;
    this.entries.delete(entry.key);
    entry.stop();
    this.options.threads.forgetResource(entry.key);
  }
}

function keyOf(reference: Found): string {
  return reference.kind === 'single' ? resourceKey(reference) : collectionKey(reference);
}

/** Names come from whoever sends requests. */
const MAX_DEMANDED = 10_000;
