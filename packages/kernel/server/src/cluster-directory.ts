import { type Cluster, ClusterSchema, equals } from '@dragoman/api';
import { ConfigError, ProblemCollector } from '@dragoman/core';
import type { ClusterSources, WarmingCluster } from '@dragoman/upstream';
import type { Hold } from './dynamic/resource-book.ts';
import { Failures } from './failures.ts';
import { Turns } from './turns.ts';
import type { ClusterOrder } from './worker/orders.ts';
import type { Ledger } from './workers/ledger.ts';
import type { Workers } from './workers/workers.ts';

export interface ClusterDirectoryOptions {
  readonly workers: Workers;
  /** Undefined with a worker on this thread. */
  readonly ledger: Ledger | undefined;
  /** Compiles a cluster and throws it away. @throws ConfigError with paths relative to the cluster */
  check(message: Cluster): void;
  /** Takes hold of what a cluster names in place of holding it. @throws ConfigError */
  hold(message: Cluster): Hold;
}

/** A cluster as main knows it. */
export interface KnownCluster {
  readonly message: Cluster;
  /** Wall time in ms when it was put in place; undefined: it is of the bootstrap. */
  readonly addedAt: number | undefined;
  /** What a control plane calls this version; empty where there is none. */
  readonly version: string;
  /** What it names and has not come yet. */
  readonly hold: Hold | undefined;
}

interface Entry extends KnownCluster {
  readonly order: ClusterOrder;
  /** Undefined before the start. */
  hold: Hold | undefined;
}

/** A change whose hosts are looked for. */
interface Attempt extends KnownCluster {
  /** Counts up. */
  readonly number: number;
  readonly warming: WarmingCluster;
  readonly hold: Hold;
  /** Another change of the name came first: nobody wants it any more. */
  dropped: boolean;
  /** Resolves when it is. */
  readonly gone: PromiseWithResolvers<void>;
  readonly done: Promise<unknown>;
}

/** Changes that workers are told of together. */
type Batch = { readonly attempt: Attempt; settle(result: Promise<boolean>): void }[];

/**
 * Clusters that workers are told of before the first has answered: a round trip for each would take long where there are thousands, and a worker that
 * is told of all of them at once serves nobody meanwhile.
 */
const MAX_BATCH = 16;

/** The clusters of a proxy, on main: what workers are told of them, and what one that begins later has to be told. */
export class ClusterDirectory {
  private readonly options: ClusterDirectoryOptions;
  private readonly byName = new Map<string, Entry>();
  /** Of the bootstrap, where a name may stand twice: the workers say that it does. */
  private readonly repeated: ClusterOrder[] = [];
  /** By name, in their order. */
  private readonly attempts = new Map<string, readonly Attempt[]>();
  private lastNumber = 0;
  private closed = false;
  /** Those that failed. */
  readonly failures: Failures<Cluster> = new Failures();
  /** Names whose removal waits for its turn. */
  private readonly leaving = new Set<string>();
  /** What workers are told comes one after the other. */
  private readonly turns = new Turns();
  /** Still takes changes: its turn has not come. */
  private batch: Batch | undefined = undefined;
  private readonly watchers = new Set<(name: string) => void>();

  /** @param clusters of the bootstrap; what is wrong with them is found by who builds them */
  constructor(clusters: readonly Cluster[], options: ClusterDirectoryOptions) {
    this.options = options;
    clusters.forEach((message, i) => {
      const order = this.order(message, `static_resources.clusters[${i}]`);
      if (this.byName.has(message.name)) this.repeated.push(order);
      else
        this.byName.set(message.name, { message, order, addedAt: undefined, version: '', hold: undefined });
    });
    for (const { message } of this.byName.values()) options.ledger?.showCluster(message);
  }

  get orders(): readonly ClusterOrder[] {
    return [...Array.from(this.byName.values(), ({ order }) => order), ...this.repeated];
  }

  get clusters(): readonly KnownCluster[] {
    return [...this.byName.values()];
  }

  /** The one in place. */
  get(name: string): Cluster | undefined {
    return this.byName.get(name)?.message;
  }

  /** Also one that is about to be added, and not one that is about to be removed. */
  has(name: string): boolean {
    return (this.byName.has(name) && !this.leaving.has(name)) || this.attempts.has(name);
  }

  /** `callback` runs after a cluster was put in place or removed. The returned function takes it back. */
  onChange(callback: (name: string) => void): () => void {
    this.watchers.add(callback);
    return () => this.watchers.delete(callback);
  }

  /** Whose hosts are not known yet. */
  get warming(): readonly KnownCluster[] {
    return [...this.attempts.values()].flat();
  }

  /** Not of the bootstrap: added, or changed, while the proxy ran. */
  isDynamic(name: string): boolean {
    return this.byName.get(name)?.addedAt !== undefined;
  }

  /** Subscribes to what the clusters of the bootstrap name. Resolves when it has come. @throws ConfigError */
  holdAll(): Promise<unknown> {
    const held: Promise<void>[] = [];
    const problems = new ProblemCollector();
    for (const entry of this.byName.values()) {
      entry.hold ??= problems.try(entry.order.path, () => this.options.hold(entry.message));
      if (entry.hold !== undefined) held.push(entry.hold.ready);
    }
    problems.throwIfAny();
    return Promise.all(held);
  }

  /** Those that wait by now are in place, or failed. Never rejects. */
  async settled(): Promise<void> {
    await Promise.all([...this.attempts.values()].flat().map(({ done }) => done));
  }

  /** `eds_cluster_config.service_name`; empty where there is none. */
  edsServiceName(name: string): string {
    return this.byName.get(name)?.message.edsClusterConfig?.serviceName ?? '';
  }

  /**
   * Adds a cluster, or puts it in place of one of the same name once its hosts are known. Clusters wait for theirs side by side; of two
   * changes of one name the later one stays.
   *
   * @param wallTime ms
   * @returns when it is in place: false when it is the same already, or a later change came first. It rejects only for what {@link check} does
   * not find; nothing has changed then
   * @throws ConfigError when it is wrong
   */
  begin(message: Cluster, sources: ClusterSources, wallTime: number, version = ''): Promise<boolean> {
    this.throwIfClosed();
    const failed = (error: unknown): never => {
      const { name } = message;
      // Nobody could ask for it, or correct it.
      if (name !== '' && error instanceof ConfigError)
        this.failures.note({ name, message, version, details: error.message, at: wallTime });
      throw error;
    };
    try {
      const done = this.attempt(message, sources, wallTime, version);
      this.failures.forget(message.name);
      return done.catch(failed);
    } catch (error) {
      return failed(error);
    }
  }

  private attempt(
    message: Cluster,
    sources: ClusterSources,
    wallTime: number,
    version: string,
  ): Promise<boolean> {
    const waiting = this.attemptsOf(message.name);
    const last = waiting.at(-1);
    if (last !== undefined && equals(ClusterSchema, last.message, message)) {
      return last.done.then(() => false);
    }
    const before = this.leaving.has(message.name) ? undefined : this.byName.get(message.name);
    if (before !== undefined && equals(ClusterSchema, before.message, message)) {
      for (const attempt of waiting) this.drop(attempt);
      return Promise.resolve(false);
    }
    this.options.check(message);
    const hold = this.options.hold(message);
    let warming: WarmingCluster;
    try {
      warming = sources.warmCluster(message);
    } catch (error) {
      hold.release();
      throw error;
    }
    const { promise: done, resolve } = Promise.withResolvers<void>();
    const number = ++this.lastNumber;
    const attempt: Attempt = {
      number,
      message,
      addedAt: wallTime,
      version,
      warming,
      hold,
      dropped: false,
      gone: Promise.withResolvers(),
      done,
    };
    this.attempts.set(message.name, [...waiting, attempt]);
    return this.finish(attempt, resolve);
  }

  /** {@link begin}, and the wait. Rejects with ConfigError. */
  async addOrUpdate(message: Cluster, sources: ClusterSources, wallTime: number): Promise<boolean> {
    return this.begin(message, sources, wallTime);
  }

  private async finish(attempt: Attempt, resolve: () => void): Promise<boolean> {
    let put = false;
    try {
      const ready = Promise.all([attempt.hold.ready, attempt.warming.warmed]);
      await Promise.race([ready, attempt.gone.promise]);
      put = await this.putInTurn(attempt);
      return put;
    } finally {
      if (!put) attempt.hold.release();
      this.forget(attempt);
      resolve();
    }
  }

  private putInTurn(attempt: Attempt): Promise<boolean> {
    const { name } = attempt.message;
    let { batch } = this;
    if (
      batch === undefined ||
      batch.length === MAX_BATCH ||
      batch.some((other) => other.attempt.message.name === name)
    ) {
      const next: Batch = [];
      this.batch = batch = next;
      void this.turns.take(async () => {
        if (this.batch === next) this.batch = undefined;
        await Promise.allSettled(
          next.map((each) => {
            const result = this.put(each.attempt);
            each.settle(result);
            return result;
          }),
        );
      });
    }
    const put = Promise.withResolvers<boolean>();
    batch.push({ attempt, settle: put.resolve });
    return put.promise;
  }

  /** Also what is about to be added. @returns whether there was one */
  async remove(name: string, sources: ClusterSources): Promise<boolean> {
    this.throwIfClosed();
    this.failures.forget(name);
    const waiting = this.attemptsOf(name);
    for (const attempt of waiting) this.drop(attempt);
    this.leaving.add(name);
    // What comes later is told later.
    this.batch = undefined;
    return this.turns.take(async () => {
      this.leaving.delete(name);
      const entry = this.byName.get(name);
      if (!this.byName.delete(name)) return waiting.length > 0;
      entry?.hold?.release();
      sources.removeCluster(name);
      this.options.workers.removeCluster(name);
      this.options.ledger?.hideCluster(name);
      this.tell(name);
      return true;
    });
  }

  /** Ends what waits for hosts; nothing is changed any more. */
  close(): void {
    this.closed = true;
    for (const attempt of this.warming as readonly Attempt[]) this.drop(attempt);
  }

  private async put(attempt: Attempt): Promise<boolean> {
    this.throwIfClosed();
    if (attempt.dropped) return false;
    const { number, message, warming, addedAt, version, hold } = attempt;
    const { workers, ledger } = this.options;
    this.forget(attempt);
    const before = this.byName.get(message.name);
    const order = this.order(message, '');
    // At once: the same again is no change while the workers take it up.
    this.byName.set(message.name, { message, order, addedAt, version, hold });
    try {
      await workers.addOrUpdateCluster(order, warming.take());
    } catch (error) {
      if (before === undefined) this.byName.delete(message.name);
      else this.byName.set(message.name, before);
      warming.discard();
      throw error;
    }
    for (const other of this.attemptsOf(message.name)) if (other.number < number) this.drop(other);
    before?.hold?.release();
    ledger?.showCluster(message);
    warming.activate();
    this.tell(message.name);
    return true;
  }

  private tell(name: string): void {
    for (const watcher of this.watchers) watcher(name);
  }

  private attemptsOf(name: string): readonly Attempt[] {
    return this.attempts.get(name) ?? [];
  }

  private forget(attempt: Attempt): void {
    const { name } = attempt.message;
    const left = this.attemptsOf(name).filter((other) => other !== attempt);
    if (left.length > 0) this.attempts.set(name, left);
    else this.attempts.delete(name);
  }

  private drop(attempt: Attempt): void {
    attempt.dropped = true;
    this.forget(attempt);
    attempt.warming.discard();
    attempt.hold.release();
    attempt.gone.resolve();
  }

  private order(message: Cluster, path: string): ClusterOrder {
    return { message, path, budgets: this.options.ledger?.clusterBudgets(message) };
  }

  private throwIfClosed(): void {
    if (this.closed) throw new Error('the proxy was closed');
  }
}
