import type {
  ClusterBalancerContext,
  ClusterInfo,
  EndpointData,
  Host,
  HostSet,
  MemberClusters,
  OwnHosts,
  PriorityShares,
} from '@dragoman/core';
import { Address } from '@dragoman/core';
import { FakeClock } from './clock.ts';
import { testHost } from './kits/load-balancer.ts';
import { MemoryStats } from './memory-stats.ts';
import { testContext } from './test-context.ts';

/** Hosts that a balancer makes, in their order. */
export class FakeOwnHosts implements OwnHosts {
  readonly listed: Host[] = [];

  add({ address, hostname, weight }: EndpointData): Host {
    const host = testHost(address, weight, { hostname });
    this.listed.push(host);
    return host;
  }

  update(host: Host, { address, hostname }: EndpointData): void {
    Object.assign(host, { address: Address.of(address), hostname });
  }

  remove(host: Host): void {
    const index = this.listed.indexOf(host);
    if (index >= 0) this.listed.splice(index, 1);
  }

  get addresses(): string[] {
    return this.listed.map(({ address }) => address.text);
  }
}

const NO_MEMBERS: MemberClusters = {
  get: () => undefined,
  clusterNames: [],
  chooseHost: () => undefined,
  onChange: () => () => {},
};

/** What a cluster that chooses its hosts itself is given in a test, on fake time; it is named `web`. */
export class ProvidedScene {
  readonly clock = new FakeClock();
  /** Under `cluster.web.`. */
  readonly stats = new MemoryStats();
  readonly hosts = new FakeOwnHosts();
  readonly context: ClusterBalancerContext;

  /** @param over replaces parts of {@link context} */
  constructor(over: Partial<ClusterBalancerContext> = {}) {
    this.context = {
      ...testContext({ clock: this.clock, stats: this.stats }),
      info: {
        name: 'web',
        secure: false,
        statsScope: this.stats.scope('cluster.web'),
      } as Partial<ClusterInfo> as ClusterInfo,
      clusters: NO_MEMBERS,
      hosts: this.hosts,
      priorityShares: allOnFirst,
      ...over,
    };
  }
}

function allOnFirst(sets: readonly HostSet[]): PriorityShares {
  return { healthy: sets.map((_, index) => (index === 0 ? 100 : 0)), degraded: sets.map(() => 0) };
}
