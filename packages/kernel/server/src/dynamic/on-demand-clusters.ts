import { ClusterSchema } from '@dragoman/api';
import type {
  ConfigSubscription,
  ConfigSubscriptions,
  ConfigUpdate,
  Logger,
  StatsScope,
  SubscriptionFailure,
} from '@dragoman/core';
import type { ClusterSources } from '@dragoman/upstream';
import type { ClusterDirectory } from '../cluster-directory.ts';
import { Refusals } from './refusals.ts';
import { Waiters } from './waiters.ts';

export interface OnDemandOptions {
  readonly directory: ClusterDirectory;
  readonly sources: ClusterSources;
  readonly subscriptions: ConfigSubscriptions;
  /** An `envoy.config.core.v3.ConfigSource`. */
  readonly source: unknown;
  readonly stats: StatsScope;
  readonly logger: Logger;
  readonly wallTime: () => number;
}

/** Names come from whoever sends requests. */
const MAX_NAMES = 10_000;

/** Clusters of a control plane that are asked for by name, when a request needs one (ODCDS). One that has come stays, and is kept up to date. */
export class OnDemandClusters {
  private readonly options: OnDemandOptions;
  private readonly names = new Set<string>();
  /** Those that came from here. */
  private readonly placed = new Set<string>();
  private readonly waiters = new Waiters();
  private subscription: ConfigSubscription | undefined = undefined;
  private stopped = false;

  constructor(options: OnDemandOptions) {
    this.options = options;
  }

  /** Fulfilled with whether it is in place on every worker. Never rejects. */
  async demand(name: string): Promise<boolean> {
    const { directory } = this.options;
    if (directory.get(name) !== undefined) return true;
    if (this.stopped) return false;
    if (!this.names.has(name)) {
      if (this.names.size >= MAX_NAMES) return false;
      this.names.add(name);
      if (!this.subscribe()) {
        this.names.delete(name);
        return false;
      }
    }
    return this.waiters.wait(name);
  }

  stop(): void {
    this.stopped = true;
    this.subscription?.stop();
    for (const name of this.waiters.names) this.waiters.answer(name, false);
  }

  private subscribe(): boolean {
    const { subscriptions, source, stats, logger } = this.options;
    try {
      if (this.subscription !== undefined) {
        this.subscription.setNames([...this.names]);
        return true;
      }
      this.subscription = subscriptions.subscribe({
        source,
        type: ClusterSchema,
        names: [...this.names],
        stats: stats.scope('cluster_manager.odcds'),
        callbacks: {
          onUpdate: (update) => this.onUpdate(update),
          onFailure: (reason) => this.onFailure(reason),
        },
      });
      return true;
    } catch (error) {
      // A request may name what no server could be asked for.
      const level = this.subscription === undefined ? 'warn' : 'debug';
      logger[level](`odcds: clusters cannot be had on demand: ${(error as Error).message}`);
      return false;
    }
  }

  private onFailure(reason: SubscriptionFailure): void {
    if (reason === 'connection') return;
    this.giveUp(this.waiters.names);
  }

  private async onUpdate({
    changed,
    removed,
    versionInfo,
    full,
  }: ConfigUpdate<typeof ClusterSchema>): Promise<void> {
    const { directory, sources, logger, wallTime } = this.options;
    const refusals = new Refusals();
    for (const { message, version, name } of changed) {
      try {
        const done = directory.begin(message, sources, wallTime(), version || versionInfo);
        this.placed.add(message.name);
        done.then(
          () => this.waiters.answer(name, directory.get(message.name) !== undefined),
          (error: Error) => {
            logger.error(`odcds: cluster '${name}' could not be put in place: ${error.message}`);
            this.giveUp([name]);
          },
        );
      } catch (error) {
        this.giveUp([name]);
        refusals.add(name, error);
      }
    }
    this.giveUp(removed);
    const there = new Set(changed.map(({ message }) => message.name));
    // Who waits may have asked later than the server answered.
    const gone = full ? [...this.placed].filter((name) => !there.has(name)) : removed;
    for (const name of gone) if (this.placed.delete(name)) await directory.remove(name, sources);
    refusals.throwIfAny();
  }

  /** The server is asked anew when somebody wants it again. */
  private giveUp(names: readonly string[]): void {
    const waited = names.filter((name) => this.waiters.has(name));
    if (waited.length === 0) return;
    for (const name of waited) this.names.delete(name);
    this.subscription?.setNames([...this.names]);
    for (const name of waited) this.waiters.answer(name, false);
  }
}
