import type { DescMessage, MessageShape } from '@dragoman/api';
import {
  ConfigError,
  type ConfigSubscription,
  type ConfigSubscriptions,
  type ConfigUpdate,
  type DiscoveredResource,
  type Logger,
  type StatsScope,
} from '@dragoman/core';
import { Refusals } from './refusals.ts';
import { ReloadStats } from './reload-stats.ts';

export interface WildcardOptions {
  readonly subscriptions: ConfigSubscriptions;
  /** `cds_config`, `lds_config`. */
  readonly source: unknown;
  /** `cds_resources_locator`, `lds_resources_locator`; undefined: all that there are. */
  readonly locator: string | undefined;
  /** The server's root. */
  readonly stats: StatsScope;
  readonly logger: Logger;
  /** Wall time in ms. */
  readonly wallTime: () => number;
}

/** A type of which a control plane gives everything that there is. */
export interface WildcardType<D extends DescMessage> {
  readonly type: D;
  /** For logs: `cds`. */
  readonly label: string;
  readonly statPrefix: string;
}

interface Named {
  readonly name: string;
}

/** Clusters or listeners of a control plane: those that come, those that go, and those that are refused. */
export abstract class WildcardDiscovery<D extends DescMessage> {
  /** Resolves with the first update or failure. Never rejects. */
  readonly initial: Promise<void>;
  /** {@link initial} has resolved. */
  answered = false;
  /** Those that came from there. */
  protected readonly names = new Set<string>();
  /** Those that were refused, by the names that their failures are kept by. */
  private readonly refused = new Set<string>();
  private readonly from: WildcardOptions;
  private readonly kind: WildcardType<D>;
  private readonly settleInitial: () => void;
  private readonly scope: StatsScope;
  private readonly reloads: ReloadStats;
  private subscription: ConfigSubscription | undefined = undefined;
  private version = '';
  private stopped = false;

  constructor(from: WildcardOptions, kind: WildcardType<D>) {
    this.from = from;
    this.kind = kind;
    this.scope = from.stats.scope(kind.statPrefix);
    this.reloads = new ReloadStats(this.scope, from.wallTime);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.initial = promise;
    this.settleInitial = () => {
      this.answered = true;
      resolve();
    };
  }

  /** @throws ConfigError with paths below the config source */
  start(): void {
    const { subscriptions, source, locator } = this.from;
    const { type } = this.kind;
    this.subscription = subscriptions.subscribe({
      source,
      type,
      names: locator === undefined ? undefined : [locator],
      stats: this.scope,
      callbacks: {
        onUpdate: (update) => this.onUpdate(update),
        onFailure: (reason) => {
          if (reason !== 'connection') this.settleInitial();
        },
      },
    });
  }

  /** Of the last update that was taken over whole. */
  get versionInfo(): string {
    return this.version;
  }

  stop(): void {
    this.stopped = true;
    this.subscription?.stop();
    this.settleInitial();
  }

  /** The last failures, for whoever looks. */
  protected abstract readonly failures: { forget(name: string): void };

  /** Takes resources over, and others away. @returns of each that was not passed over whether it changes something, once it is in place */
  protected abstract apply(
    changed: readonly DiscoveredResource<D>[],
    gone: readonly string[],
    versionInfo: string,
    refusals: Refusals,
  ): Promise<readonly Promise<boolean>[]>;

  /** Too late for the control plane to be told. */
  protected lateFailure(name: string, error: unknown): void {
    if (this.stopped) return;
    const text = error instanceof ConfigError ? error.message.replaceAll('\n', '; ') : String(error);
    this.from.logger.error(`${this.kind.label}: '${name}' could not be put in place: ${text}`);
  }

  private async onUpdate({ changed, removed, versionInfo, full }: ConfigUpdate<D>): Promise<void> {
    const refusals = new Refusals();
    const there = new Set(changed.map((resource) => nameOf(resource)));
    const gone = full
      ? [...this.names].filter((name) => !there.has(name))
      : removed.filter((name) => this.names.has(name));
    // What the control plane has taken back is no failure any more.
    for (const name of full ? [...this.refused].filter((one) => !there.has(one)) : removed)
      if (this.refused.delete(name)) this.failures.forget(name);
    const changes = await this.apply(changed, gone, versionInfo, refusals);
    for (const resource of changed) if (refusals.has(resource.name)) this.refused.add(nameOf(resource));
    this.from.logger.info(
      `${this.kind.label}: ${changes.length} taken over, ${gone.length} removed, ${refusals.count} refused`,
    );
    void this.reloads.count(gone.length, changes);
    this.settleInitial();
    refusals.throwIfAny();
    this.version = versionInfo;
  }
}

/** Its own, or that of the resource where it has none. */
export function nameOf<D extends DescMessage>({ name, message }: DiscoveredResource<D>): string {
  return (message as MessageShape<D> & Named).name || name;
}
