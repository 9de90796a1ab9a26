import type { Discovery, DiscoveryContext, DnsResolver, DnsResult, HostListUpdate } from '@dragoman/core';
import { FakeClock } from './clock.ts';
import { FakeSubscriptions } from './fake-subscriptions.ts';
import { MemoryStats } from './memory-stats.ts';
import { testContext } from './test-context.ts';

/** Answers by name, which a test changes as it goes. A name that it has not heard of has no addresses. */
export class FakeDns implements DnsResolver {
  private readonly answers = new Map<string, DnsResult>();

  async resolve(name: string): Promise<DnsResult> {
    return this.answers.get(name) ?? { ok: true, addresses: [] };
  }

  close(): void {}

  /** From now on the name has these addresses, with a TTL of 60 s. */
  set(name: string, ...ips: string[]): void {
    this.answers.set(name, { ok: true, addresses: ips.map((ip) => ({ ip, ttlSeconds: 60 })) });
  }

  /** From now on the servers fail. */
  fail(name: string): void {
    this.answers.set(name, { ok: false, reason: 'SERVFAIL' });
  }
}

const UPDATE_COUNTERS = ['update_attempt', 'update_success', 'update_failure', 'update_no_rebuild'] as const;

/** A discovery in a test, on fake time: what it is answered, and what it publishes and counts. */
export class DiscoveryScene {
  readonly clock = new FakeClock();
  readonly dns = new FakeDns();
  readonly subscriptions = new FakeSubscriptions();
  readonly updates: HostListUpdate[] = [];
  readonly failures: string[] = [];
  /** Under `cluster.web.`. */
  readonly stats = new MemoryStats();
  /** What the factory of the discovery is given. */
  readonly context: DiscoveryContext = {
    ...testContext({ clock: this.clock, stats: this.stats }),
    dns: this.dns,
    subscriptions: this.subscriptions,
    clusterScope: this.stats.scope('cluster.web'),
  };

  start(discovery: Discovery): Discovery {
    discovery.start({
      onHosts: (update) => this.updates.push(update),
      onFailure: (reason) => this.failures.push(reason),
    });
    return discovery;
  }

  /** Addresses of the last list, in order. */
  get addresses(): string[] {
    const localities = this.updates.at(-1)?.localities ?? [];
    return localities.flatMap(({ endpoints }) => endpoints.map(({ address }) => address));
  }

  /** The counters of updates. @throws Error when the discovery has not made one of them */
  get counts(): Record<string, number> {
    return Object.fromEntries(UPDATE_COUNTERS.map((name) => [name, this.stats.value(`cluster.web.${name}`)]));
  }
}
