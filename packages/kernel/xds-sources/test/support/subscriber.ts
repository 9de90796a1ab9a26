import type { DescMessage } from '@dragoman/api';
import type { ConfigUpdate, SubscriptionOptions } from '@dragoman/core';
import { MemoryStats } from '@dragoman/testing';

/** A subscriber that keeps what it is given. */
export class Subscriber<D extends DescMessage> {
  readonly stats = new MemoryStats();
  readonly updates: ConfigUpdate<D>[] = [];
  readonly failures: string[] = [];
  /** Called with each update; may throw, or make it wait. */
  onUpdate: (update: ConfigUpdate<D>) => void | Promise<void> = () => {};
  private readonly type: D;

  constructor(type: D) {
    this.type = type;
  }

  options(names?: readonly string[], source?: unknown): SubscriptionOptions<D> {
    return {
      source,
      type: this.type,
      names,
      stats: this.stats.scope('s'),
      callbacks: {
        onUpdate: (update) => {
          this.updates.push(update);
          return this.onUpdate(update);
        },
        onFailure: (reason, details) => {
          this.failures.push(`${reason}: ${details}`);
        },
      },
    };
  }

  /** `version: names` of each update. */
  get seen(): string[] {
    return this.updates.map(
      ({ versionInfo, changed }) => `${versionInfo}: ${changed.map(({ name }) => name).join(' ')}`,
    );
  }

  /** Those that are not 0. */
  get counts(): Record<string, number> {
    const { 's.version': _version, 's.update_time': _time, ...counts } = this.stats.used();
    return Object.fromEntries(Object.entries(counts).map(([name, value]) => [name.replace('s.', ''), value]));
  }
}
