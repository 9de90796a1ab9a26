import { type Cluster, ClusterSchema, readLoose } from '@dragoman/api';
import type {
  Counter,
  Discovery,
  DiscoveryContext,
  DnsResolver,
  DnsResult,
  HostListUpdate,
} from '@dragoman/core';
import { FakeClock, SeededRandom } from '@dragoman/testing';

/** Answers by name; a test changes them as it goes. */
export class FakeDns implements DnsResolver {
  readonly answers = new Map<string, DnsResult>();
  readonly asked: string[] = [];

  async resolve(name: string): Promise<DnsResult> {
    this.asked.push(name);
    return this.answers.get(name) ?? { ok: true, addresses: [] };
  }

  close(): void {}

  set(name: string, ...ips: string[]): void {
    this.answers.set(name, { ok: true, addresses: ips.map((ip) => ({ ip, ttlSeconds: 60 })) });
  }

  fail(name: string): void {
    this.answers.set(name, { ok: false, reason: 'SERVFAIL' });
  }
}

export const socket = (address: string, port = 80) => ({
  endpoint: { address: { socket_address: { address, port_value: port } } },
});

export function cluster(config: object): Cluster {
  return readLoose(ClusterSchema, { name: 'web', ...config });
}

/** A discovery of one test: what it publishes, counts and asks, on fake time. */
export class Scene {
  readonly clock = new FakeClock();
  readonly dns = new FakeDns();
  readonly updates: HostListUpdate[] = [];
  readonly failures: string[] = [];
  readonly counts: Record<string, number> = {};
  readonly context = {
    clock: this.clock,
    random: new SeededRandom(1),
    dns: this.dns,
    clusterScope: { counter: (name: string) => this.counter(name) },
  } as unknown as DiscoveryContext;

  start(discovery: Discovery): Discovery {
    discovery.start({
      onHosts: (update) => this.updates.push(update),
      onFailure: (reason) => this.failures.push(reason),
    });
    return discovery;
  }

  /** Addresses of the last list, in order. */
  get addresses(): string[] {
    const last = this.updates.at(-1);
    return last === undefined
      ? []
      : last.localities.flatMap((group) => group.endpoints.map((one) => one.address));
  }

  private counter(name: string): Counter {
    this.counts[name] ??= 0;
    return {
      name,
      inc: () => {
        this.counts[name]++;
      },
      add: () => {},
      value: () => this.counts[name],
    };
  }
}
