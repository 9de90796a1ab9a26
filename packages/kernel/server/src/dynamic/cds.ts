import { ClusterSchema } from '@dragoman/api';
import {
  ConfigError,
  type ConfigSubscription,
  type ConfigSubscriptions,
  type ConfigUpdate,
  type Logger,
  type StatsScope,
} from '@dragoman/core';
import type { ClusterSources } from '@dragoman/upstream';
import type { ClusterDirectory } from '../cluster-directory.ts';
import { Refusals } from './refusals.ts';

export interface CdsOptions {
  readonly directory: ClusterDirectory;
  readonly sources: ClusterSources;
  readonly subscriptions: ConfigSubscriptions;
  /** `cds_config`. */
  readonly source: unknown;
  /** `cds_resources_locator`; undefined: all clusters there are. */
  readonly locator: string | undefined;
  readonly stats: StatsScope;
  readonly logger: Logger;
  readonly wallTime: () => number;
}

/** The clusters of a control plane (CDS). */
export class ClusterDiscovery {
  /** Resolves with the first update or failure. Never rejects. */
  readonly initial: Promise<void>;
  private readonly options: CdsOptions;
  private readonly settleInitial: () => void;
  /** Those that came from there. */
  private readonly names = new Set<string>();
  private readonly subscription: ConfigSubscription;
  /** The last version that was taken over. */
  private version = '';
  private stopped = false;

  /** @throws ConfigError with paths below the config source */
  constructor(options: CdsOptions) {
    this.options = options;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.initial = promise;
    this.settleInitial = resolve;
    const { subscriptions, source, locator, stats } = options;
    this.subscription = subscriptions.subscribe({
      source,
      type: ClusterSchema,
      names: locator === undefined ? undefined : [locator],
      stats: stats.scope('cluster_manager.cds'),
      callbacks: {
        onUpdate: (update) => this.onUpdate(update),
        onFailure: (reason) => {
          if (reason !== 'connection') resolve();
        },
      },
    });
  }

  get versionInfo(): string {
    return this.version;
  }

  stop(): void {
    this.stopped = true;
    this.subscription.stop();
    this.settleInitial();
  }

  private async onUpdate({
    changed,
    removed,
    versionInfo,
    full,
  }: ConfigUpdate<typeof ClusterSchema>): Promise<void> {
    const { directory, sources, logger, wallTime } = this.options;
    const refusals = new Refusals();
    const gone = full ? missingFrom(this.names, changed) : removed.filter((name) => this.names.has(name));
    let modified = 0;
    for (const { message, version, name: resource } of changed) {
      const { name } = message;
      // As in Envoy: what the bootstrap says of a cluster stays.
      if (!this.names.has(name) && directory.has(name) && !directory.isDynamic(name)) continue;
      refusals.try(resource, () => {
        const done = directory.begin(message, sources, wallTime(), version || versionInfo);
        this.names.add(name);
        modified++;
        done.catch((error: Error) => this.onLateFailure(name, error));
      });
    }
    await Promise.all(
      gone.map(async (name) => {
        this.names.delete(name);
        await directory.remove(name, sources);
      }),
    );
    logger.info(`cds: ${modified} added or updated, ${gone.length} removed, ${refusals.count} refused`);
    this.settleInitial();
    refusals.throwIfAny();
    this.version = versionInfo;
  }

  /** What only the workers found. */
  private onLateFailure(name: string, error: Error): void {
    if (this.stopped) return;
    const { directory, logger } = this.options;
    if (!directory.has(name)) this.names.delete(name);
    const text = error instanceof ConfigError ? error.message.replaceAll('\n', '; ') : String(error);
    logger.error(`cds: cluster '${name}' could not be put in place: ${text}`);
  }
}

/** Of a state of the world: those that are not in it any more. */
export function missingFrom(
  names: ReadonlySet<string>,
  changed: readonly { readonly message: { readonly name: string } }[],
): readonly string[] {
  const there = new Set(changed.map(({ message }) => message.name));
  return [...names].filter((name) => !there.has(name));
}
