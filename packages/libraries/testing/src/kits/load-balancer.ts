import assert from 'node:assert/strict';
import {
  Address,
  type HashValue,
  type Host,
  emptyRuntime,
  type HostPicker,
  type HostSet,
  type HostStats,
  type LoadBalancer,
  type LoadBalancerContext,
  type LoadBalancerContextForCluster,
  type LoadBalancerExtension,
  type LoadBalancerPolicy,
  type PickerPolicy,
} from '@dragoman/core';
import { FakeClock } from '../clock.ts';
import { MemoryStats } from '../memory-stats.ts';
import { SeededRandom } from '../random.ts';
import { type ConformanceRunner, checkIdentity, type InvalidConfig, refusals } from './runner.ts';

/** What {@link loadBalancerConformance} is told of the policy. */
export interface LoadBalancerSubject {
  readonly extension: LoadBalancerExtension;
  /** A typed config that is valid. */
  readonly config: unknown;
  readonly invalid?: readonly InvalidConfig[];
  /** What decides where a request goes: `spread` (each pick may be another host) or `hash` (the same hash gives the same host). Default `spread`. */
  readonly kind?: 'spread' | 'hash';
  /** Whether picks are in proportion to the weights of hosts. Default true. */
  readonly weighted?: boolean;
  /** Whether it stays with one host as long as that is there. Default false. */
  readonly sticky?: boolean;
  /** The policies that stand inside its config. Default: round robin of the kit's own, whatever the config says. */
  readonly child?: PickerPolicy;
}

/** Hosts `10.0.0.1:80`, … of weight 1, or of the given weights. */
export function testHosts(count: number, weights: readonly number[] = []): Host[] {
  return Array.from({ length: count }, (_, i) => testHost(`10.0.0.${i + 1}:80`, weights[i] ?? 1));
}

/** A healthy host of cluster `test`. */
export function testHost(address: string, weight = 1, over: Partial<Host> = {}): Host {
  const parsed = Address.parse(address);
  assert.ok(parsed !== undefined, `${address} is an address`);
  return {
    address: parsed,
    hostname: '',
    clusterName: 'test',
    locality: { region: '', zone: '', subZone: '' },
    priority: 0,
    canary: false,
    metadata: new Map(),
    stats: hostStats(),
    weight,
    healthFlags: 0,
    activeRequests: 0,
    healthySince: Number.NEGATIVE_INFINITY,
    ...over,
  };
}

/** A priority with one locality, all healthy, unless `over` says otherwise. */
export function hostSetOf(hosts: readonly Host[], over: Partial<HostSet> = {}): HostSet {
  return {
    priority: 0,
    hosts,
    healthyHosts: hosts,
    degradedHosts: [],
    localities: [{ region: '', zone: '', subZone: '' }],
    hostsByLocality: [hosts],
    healthyHostsByLocality: [hosts],
    degradedHostsByLocality: [[]],
    localityWeights: undefined,
    excludedByLocality: [0],
    excluded: 0,
    overprovisioningFactor: 140,
    ...over,
  };
}

/** What a policy is built from, with a seed and fake time. */
export function loadBalancerContext(
  over: Partial<LoadBalancerContextForCluster> = {},
): LoadBalancerContextForCluster {
  return {
    clusterName: 'test',
    stats: new MemoryStats('cluster.test'),
    random: new SeededRandom(17),
    clock: new FakeClock(),
    runtime: emptyRuntime,
    policy: () => hostsInTurn(),
    ...over,
  };
}

/** Hosts in turn: a child for policies that need one. */
export function hostsInTurn(): PickerPolicy {
  return {
    createPicker(hosts) {
      let next = 0;
      return { pick: () => (hosts.length === 0 ? undefined : hosts[next++ % hosts.length]) };
    },
  };
}

/** A balancer around `policy` that knows only the healthy hosts of the first priority: what a cluster does around policies, at its simplest. */
export function simpleBalancer(policy: LoadBalancerPolicy): LoadBalancer {
  if ('createBalancer' in policy) return policy.createBalancer(simpleBalancer);
  let picker: HostPicker | undefined;
  return {
    update([set]) {
      picker = set.healthyHosts.length === 0 ? undefined : policy.createPicker(set.healthyHosts, picker);
    },
    choose: (context) => picker?.pick(context),
    close: () => policy.close?.(),
  };
}

/** Picks over `hosts`, with a policy of either kind. */
function pickerOver(policy: LoadBalancerPolicy, hosts: readonly Host[], previous?: HostPicker): HostPicker {
  if (!('createBalancer' in policy)) return policy.createPicker(hosts, previous);
  const balancer =
    previous instanceof BalancerPicker ? previous.balancer : policy.createBalancer(simpleBalancer);
  balancer.update([hostSetOf(hosts)]);
  return new BalancerPicker(balancer);
}

class BalancerPicker implements HostPicker {
  readonly balancer: LoadBalancer;

  constructor(balancer: LoadBalancer) {
    this.balancer = balancer;
  }

  pick(context: LoadBalancerContext | undefined): Host | undefined {
    return this.balancer.choose(context);
  }
}

function hostStats(): HostStats {
  const stats = new MemoryStats('host');
  return {
    cxTotal: stats.counter('cx_total'),
    cxActive: stats.gauge('cx_active'),
    cxConnectFail: stats.counter('cx_connect_fail'),
    rqTotal: stats.counter('rq_total'),
    rqActive: stats.gauge('rq_active'),
    rqSuccess: stats.counter('rq_success'),
    rqError: stats.counter('rq_error'),
    rqTimeout: stats.counter('rq_timeout'),
  };
}

/** A hash of 64 bits, drawn. */
function randomHash(random: SeededRandom): HashValue {
  return { high: random.next() % 2 ** 32, low: random.next() % 2 ** 32 };
}

/** A pick that depends on a hash, and on hosts to leave out. */
export function pickContext(over: Partial<LoadBalancerContext> = {}): LoadBalancerContext {
  return { hash: undefined, requestHeaders: undefined, info: undefined, metadataMatch: undefined, ...over };
}

/**
 * Registers the tests that every load-balancing policy has to pass: identity, configs, no host, one host, only hosts of its set, every host in
 * its turn, weights, removal, another host for a retry, snapshots that go on while a successor is made.
 */
export function loadBalancerConformance(runner: ConformanceRunner, subject: LoadBalancerSubject): void {
  const { describe, it } = runner;
  const { extension, kind = 'spread', weighted = true, sticky = false } = subject;
  const create = (config: unknown = subject.config): LoadBalancerPolicy =>
    extension.create(config as never, loadBalancerContext({ policy: () => subject.child ?? hostsInTurn() }));
  const chooses = 'createBalancer' in create();
  const random = new SeededRandom(19);
  const pick = (picker: HostPicker): Host | undefined =>
    picker.pick(kind === 'hash' ? pickContext({ hash: randomHash(random) }) : undefined);
  const counts = (picker: HostPicker, picks: number): Map<Host | undefined, number> => {
    const found = new Map<Host | undefined, number>();
    for (let i = 0; i < picks; i++) {
      const host = pick(picker);
      found.set(host, (found.get(host) ?? 0) + 1);
    }
    return found;
  };

  describe(`${extension.name} keeps the contract of load balancers`, () => {
    it('is a load balancer', () => checkIdentity(extension, 'load-balancers'));

    it('says whether it picks by hash', () => {
      const policy = create();
      if (!('createBalancer' in policy)) assert.equal(policy.usesHash === true, kind === 'hash');
    });

    refusals(runner, subject.invalid, (config) => create(config));

    it('finds no host in an empty set', () => {
      const picker = pickerOver(create(), []);
      assert.equal(picker.pick(undefined), undefined);
      assert.equal(
        picker.pick(pickContext({ hash: { high: 0, low: 1 }, shouldSkip: () => true })),
        undefined,
      );
    });

    it('finds the only host', () => {
      const [host] = testHosts(1);
      const picker = pickerOver(create(), [host]);
      for (const context of [
        undefined,
        pickContext(),
        pickContext({ hash: { high: 0, low: 0 } }),
        pickContext({ hash: { high: 2 ** 32 - 1, low: 2 ** 32 - 1 } }),
      ]) {
        assert.equal(picker.pick(context), host);
      }
    });

    if (!sticky)
      it('comes to every host, and to no other', () => {
        const hosts = testHosts(7);
        const found = counts(pickerOver(create(), hosts), 700);
        assert.deepEqual(new Set(found.keys()), new Set(hosts));
      });

    if (weighted) {
      it('picks in proportion to weights', () => {
        const hosts = testHosts(3, [1, 2, 5]);
        const found = counts(pickerOver(create(), hosts), 8000);
        for (const host of hosts) {
          const share = (found.get(host) ?? 0) / 1000;
          assert.ok(Math.abs(share - host.weight) < host.weight * 0.25, `weight ${host.weight} got ${share}`);
        }
      });
    }

    it('forgets a host that was removed, and finds one that was added', () => {
      const policy = create();
      const hosts = testHosts(4);
      const before = pickerOver(policy, hosts);
      counts(before, 10);
      const [removed, ...kept] = hosts;
      const added = testHost('10.0.1.1:80');
      const after = pickerOver(policy, [...kept, added], before);
      const found = counts(after, 800);
      assert.equal(found.get(removed), undefined);
      if (sticky)
        assert.ok([...found.keys()].every((host) => host !== undefined && [...kept, added].includes(host)));
      else assert.deepEqual(new Set(found.keys()), new Set([...kept, added]));
      assert.equal(pickerOver(policy, [], after).pick(undefined), undefined);
    });

    if (!chooses)
      it('goes on with its own hosts while a successor is made', () => {
        const policy = create();
        const hosts = testHosts(3);
        const before = pickerOver(policy, hosts);
        pick(before);
        const successor = pickerOver(policy, testHosts(1), before);
        for (let i = 0; i < 30; i++) {
          assert.ok(hosts.includes(pick(before) as Host));
          pick(successor);
        }
      });

    it('does not change the list it was given', () => {
      const hosts = Object.freeze(testHosts(5, [3, 1, 2, 1, 1]));
      const order = [...hosts];
      counts(pickerOver(create(), hosts), 100);
      assert.deepEqual([...hosts], order);
    });

    if (kind === 'spread' && !sticky) {
      // The cluster asks again while a host is to be skipped (Envoy: host_selection_retry_max_attempts).
      it('comes to a host that a retry may use', () => {
        const hosts = testHosts(3);
        const picker = pickerOver(create(), hosts);
        const skipped = new Set(hosts.slice(0, 2));
        const context = pickContext({ shouldSkip: (host) => skipped.has(host) });
        const found = Array.from({ length: 60 }, () => picker.pick(context));
        assert.ok(found.includes(hosts[2]));
        assert.ok(found.every((host) => host !== undefined));
      });
    }

    if (kind === 'hash') {
      it('gives the same hash the same host, also after an update that does not concern it', () => {
        const policy = create();
        const hosts = testHosts(8);
        const picker = pickerOver(policy, hosts);
        const again = pickerOver(policy, [...hosts], picker);
        for (let i = 0; i < 100; i++) {
          const context = pickContext({ hash: randomHash(random) });
          const host = picker.pick(context);
          assert.equal(picker.pick(context), host);
          assert.equal(again.pick(context), host);
        }
      });

      it('comes to another host in an attempt more', () => {
        const picker = pickerOver(create(), testHosts(3));
        const context = pickContext({ hash: randomHash(random) });
        const found = Array.from({ length: 20 }, (_, attempt) => picker.pick(context, attempt));
        assert.ok(found.every((host) => host !== undefined));
        assert.ok(new Set(found).size > 1);
      });
    }

    const alone = create();
    if (!('createBalancer' in alone) && alone.foreseeable === true)
      it('picks the same hosts whatever a request brings and its hosts do, since it may be asked ahead', () => {
        const hosts = testHosts(5);
        const [asked, ahead] = [pickerOver(create(), hosts), pickerOver(create(), hosts)];
        for (let i = 0; i < 50; i++) {
          const foreseen = ahead.pick(undefined);
          hosts[i % 5].activeRequests += i;
          assert.equal(asked.pick(pickContext({ hash: randomHash(random) })), foreseen);
        }
      });

    it('keeps clusters apart', () => {
      const [first, second] = [create(), create()];
      const a = pickerOver(first, testHosts(2));
      const hosts = testHosts(2);
      const b = pickerOver(second, hosts);
      pick(a);
      for (let i = 0; i < 10; i++) assert.ok(hosts.includes(pick(b) as Host));
    });
  });
}
