import { PreviousPrioritiesConfigSchema } from '@dragoman/api';
import {
  availability,
  ConfigError,
  defineRetryPriority,
  type Host,
  type HostDescription,
  type HostSet,
  type PriorityOf,
  type PriorityShares,
  type RetryPriority,
  spreadOverPriorities,
} from '@dragoman/core';

/** `envoy.retry_priorities.previous_priorities`: after every so many tries the priorities that were tried take no part. */
export const previousPriorities = defineRetryPriority({
  name: 'envoy.retry_priorities.previous_priorities',
  config: PreviousPrioritiesConfigSchema,
  create(config) {
    const frequency = config?.updateFrequency ?? 0;
    if (frequency <= 0) throw ConfigError.at('update_frequency', 'must be more than 0');
    return () => new PreviousPriorities(frequency);
  },
});

function ownPriority({ priority }: HostDescription): number {
  return priority;
}

class PreviousPriorities implements RetryPriority {
  private readonly updateFrequency: number;
  private attempted: Host[] = [];
  private excluded = new Set<number>();
  /** As of the last update; undefined before the first one. */
  private current: PriorityShares | undefined = undefined;

  constructor(updateFrequency: number) {
    this.updateFrequency = updateFrequency;
  }

  onHostAttempted(host: Host): void {
    this.attempted.push(host);
  }

  shares(
    sets: readonly HostSet[],
    original: PriorityShares,
    priorityOf: PriorityOf = ownPriority,
  ): PriorityShares {
    const { attempted, updateFrequency } = this;
    if (attempted.length < updateFrequency) return original;
    if (attempted.length % updateFrequency === 0) {
      for (const host of attempted) {
        const priority = priorityOf(host);
        if (priority !== undefined) this.excluded.add(priority);
      }
      const adjusted = this.withoutExcluded(sets);
      if (adjusted === undefined) return original;
      this.current = adjusted;
    }
    return this.current ?? original;
  }

  /** Undefined when no priority has a host that is well. */
  private withoutExcluded(sets: readonly HostSet[]): PriorityShares | undefined {
    const adjusted = this.spread(sets);
    if (adjusted !== undefined) return adjusted;
    // Every priority was tried: they all begin anew.
    this.excluded = new Set();
    this.attempted = [];
    return this.spread(sets);
  }

  private spread(sets: readonly HostSet[]): PriorityShares | undefined {
    const health = sets.map((set) => this.healthOf(set, set.healthyHosts));
    const degraded = sets.map((set) => this.healthOf(set, set.degradedHosts));
    const total = [...health, ...degraded].reduce((all, part) => all + part, 0);
    return total === 0 ? undefined : spreadOverPriorities(health, degraded, Math.min(100, total));
  }

  private healthOf(set: HostSet, available: readonly Host[]): number {
    return this.excluded.has(set.priority) ? 0 : availability(set, available);
  }
}
