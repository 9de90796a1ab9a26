import { ListenerSchema } from '@dragoman/api';
import {
  ConfigError,
  type ConfigSubscription,
  type ConfigSubscriptions,
  type ConfigUpdate,
  type Logger,
  type StatsScope,
} from '@dragoman/core';
import type { ListenerManager } from '../listener/listener-manager.ts';
import { missingFrom } from './cds.ts';
import { Refusals } from './refusals.ts';

export interface LdsOptions {
  readonly listeners: ListenerManager;
  readonly subscriptions: ConfigSubscriptions;
  /** `lds_config`. */
  readonly source: unknown;
  /** `lds_resources_locator`; undefined: all listeners there are. */
  readonly locator: string | undefined;
  readonly stats: StatsScope;
  readonly logger: Logger;
}

/** The listeners of a control plane (LDS). */
export class ListenerDiscovery {
  /** Resolves with the first update or failure. Never rejects. */
  readonly initial: Promise<void>;
  private readonly options: LdsOptions;
  private readonly settleInitial: () => void;
  /** Those that came from there. */
  private readonly names = new Set<string>();
  private readonly subscription: ConfigSubscription;
  private version = '';
  private stopped = false;

  /** @throws ConfigError with paths below the config source */
  constructor(options: LdsOptions) {
    this.options = options;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.initial = promise;
    this.settleInitial = resolve;
    const { subscriptions, source, locator, stats } = options;
    this.subscription = subscriptions.subscribe({
      source,
      type: ListenerSchema,
      names: locator === undefined ? undefined : [locator],
      stats: stats.scope('listener_manager.lds'),
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
  }: ConfigUpdate<typeof ListenerSchema>): Promise<void> {
    const { listeners, logger } = this.options;
    const refusals = new Refusals();
    // Removals first: a new listener may want the address of one that goes.
    const gone = full ? missingFrom(this.names, changed) : removed.filter((name) => this.names.has(name));
    for (const name of gone) {
      this.names.delete(name);
      await listeners.remove(name);
    }
    for (const { message, version, name: resource } of changed) {
      const name = message.name || resource;
      if (!this.names.has(name) && listeners.isStatic(name)) continue;
      try {
        const { done } = await listeners.begin(named(message, name), version || versionInfo);
        this.names.add(name);
        done.catch((error: Error) => this.onLateFailure(name, error));
      } catch (error) {
        refusals.add(resource, error);
      }
    }
    logger.info(
      `lds: ${changed.length - refusals.count} taken over, ${gone.length} removed, ${refusals.count} refused`,
    );
    this.settleInitial();
    refusals.throwIfAny();
    this.version = versionInfo;
  }

  /** It could not be bound: too late for the control plane to be told. */
  private onLateFailure(name: string, error: Error): void {
    if (this.stopped) return;
    const text = error instanceof ConfigError ? error.message.replaceAll('\n', '; ') : String(error);
    this.options.logger.error(`lds: listener '${name}' could not be put in place: ${text}`);
  }
}

/** A listener without a name of its own bears that of its resource, by which it is removed. */
function named<M extends { readonly name: string }>(message: M, name: string): M {
  return message.name === name ? message : { ...message, name };
}
