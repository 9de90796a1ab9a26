import { RoundRobinSchema } from '@dragoman/api';
import {
  defineLoadBalancer,
  ExtensionRegistry,
  HealthFlag,
  type HashValue,
  type Host,
  type LoadBalancerContext,
  emptyRuntime,
} from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import { byHash, endpoint, hostList, inOrder, localityOf, world } from './support/clusters.ts';
import { changingRuntime } from './support/changing-runtime.ts';

const names = (hosts: readonly Host[]) => hosts.map(({ address }) => address.text);

/** A hash of 64 bits. */
const hash = (value: bigint): { hash: HashValue } => ({
  hash: { high: Number(value >> 32n), low: Number(value & 0xffffffffn) },
});

describe('an update of the hosts', () => {
  it('keeps a host whose address stays, with its stats, and takes over what is new', () => {
    const here = world({}, { hosts: hostList('10.0.0.1:80', '10.0.0.2:80') });
    const [first, second] = here.cluster.hostSets[0].hosts;
    first.stats.rqTotal.inc();
    here.manager.updateHosts(
      'web',
      hostList(
        endpoint('10.0.0.3:80'),
        endpoint('10.0.0.1:80', {
          weight: 5,
          hostname: 'one',
          health: 'unhealthy',
          metadata: { 'envoy.lb': { canary: true } },
        }),
      ),
    );
    const [, again] = here.cluster.hostSets[0].hosts;
    expect(again).toBe(first);
    expect(again).toMatchObject({
      weight: 5,
      hostname: 'one',
      canary: true,
      healthFlags: HealthFlag.failed_eds_health,
    });
    expect(again.stats.rqTotal.value()).toBe(1);
    expect(here.cluster.hostSets[0].hosts).not.toContain(second);
  });

  it('replaces the snapshot, and leaves the old one as it was', () => {
    const here = world({}, { hosts: hostList('10.0.0.1:80') });
    const before = here.cluster.hostSets;
    here.manager.updateHosts('web', hostList('10.0.0.2:80'));
    expect(names(before[0].hosts)).toEqual(['10.0.0.1:80']);
    expect(names(here.cluster.hostSets[0].hosts)).toEqual(['10.0.0.2:80']);
  });

  it('moves a host that has an identity of its own to its new address', () => {
    const here = world({}, { hosts: hostList(endpoint('10.0.0.1:80', { id: 'web:80' })) });
    const [host] = here.cluster.hostSets[0].hosts;
    here.manager.updateHosts('web', hostList(endpoint('10.0.0.2:80', { id: 'web:80' })));
    expect(here.cluster.hostSets[0].hosts).toEqual([host]);
    expect(host.address.text).toBe('10.0.0.2:80');
  });

  it('takes an address that is listed twice for two hosts, and keeps both', () => {
    const here = world({}, { hosts: hostList('10.0.0.1:80', '10.0.0.1:80') });
    const [first, second] = here.cluster.hostSets[0].hosts;
    expect(first).not.toBe(second);
    here.manager.updateHosts('web', hostList('10.0.0.1:80', '10.0.0.1:80'));
    expect(here.cluster.hostSets[0].hosts).toEqual([first, second]);
  });

  it('leaves out what is no address', () => {
    const here = world({}, { hosts: hostList('nonsense', '10.0.0.1:80', '/run/x.sock') });
    expect(names(here.cluster.hostSets[0].hosts)).toEqual(['10.0.0.1:80', '/run/x.sock']);
  });

  it('groups by priority and locality, and by health', () => {
    const here = world(
      {},
      {
        hosts: {
          localities: [
            localityOf(0, '10.0.0.1:80', endpoint('10.0.0.2:80', { health: 'degraded' })),
            localityOf(2, endpoint('10.0.0.3:80', { health: 'draining' }), '10.0.0.4:80'),
            localityOf(0, endpoint('10.0.0.5:80', { health: 'timeout' })),
          ],
          overprovisioningFactor: 200,
        },
      },
    );
    const [top, middle, low] = here.cluster.hostSets;
    expect(names(top.hosts)).toEqual(['10.0.0.1:80', '10.0.0.2:80', '10.0.0.5:80']);
    expect(names(top.healthyHosts)).toEqual(['10.0.0.1:80']);
    expect(names(top.degradedHosts)).toEqual(['10.0.0.2:80']);
    expect(top.hostsByLocality.map(names)).toEqual([['10.0.0.1:80', '10.0.0.2:80'], ['10.0.0.5:80']]);
    expect(middle.hosts).toEqual([]);
    expect(names(low.healthyHosts)).toEqual(['10.0.0.4:80']);
    expect([top.overprovisioningFactor, low.priority]).toEqual([200, 2]);
  });
});

it('turns requests away as the last list and the runtime say', () => {
  const list = hostList('10.0.0.1:80');
  const limit = new Map<string, number>();
  const getInteger = (key: string, fallback: number) => limit.get(key) ?? fallback;
  const { cluster, manager, counts } = world({}, { hosts: list, runtime: { ...emptyRuntime, getInteger } });
  expect(cluster.drops).toBeUndefined();
  manager.updateHosts('web', { ...list, dropOverload: { category: 'lb', ratio: 0.25 } });
  const ratios = [undefined, 50, 10, 0, -5].map((percent) => {
    if (percent !== undefined) limit.set('load_balancing_policy.drop_overload_limit', percent);
    return cluster.drops?.ratio;
  });
  expect(ratios).toEqual([0.25, 0.25, 0.1, 0, 0]);
  cluster.drops?.dropped.inc();
  expect(counts()).toMatchObject({ upstream_rq_drop_overload: 1 });
  manager.updateHosts('web', list);
  expect(cluster.drops).toBeUndefined();
});

describe('chooseHost', () => {
  const pick = (from: ReturnType<typeof world>, context?: Partial<LoadBalancerContext>) =>
    from.cluster.chooseHost(context as LoadBalancerContext | undefined)?.address.text;

  it('has none for a cluster without hosts', () => {
    const here = world({}, { hosts: hostList() });
    expect(pick(here)).toBeUndefined();
    expect(here.counts()).toMatchObject({ upstream_cx_none_healthy: 1 });
  });

  it('leaves unhealthy hosts out, until too many are', () => {
    const ill = (address: string) => endpoint(address, { health: 'unhealthy' });
    const here = world({}, { hosts: hostList('10.0.0.1:80', ill('10.0.0.2:80')) });
    expect([pick(here), pick(here)]).toEqual(['10.0.0.1:80', '10.0.0.1:80']);
    here.manager.updateHosts('web', hostList('10.0.0.1:80', ill('10.0.0.2:80'), ill('10.0.0.3:80')));
    expect([pick(here), pick(here), pick(here)]).toEqual(['10.0.0.1:80', '10.0.0.2:80', '10.0.0.3:80']);
    expect(here.counts()).toMatchObject({ lb_healthy_panic: 3 });
  });

  it('does not panic with a threshold of 0, nor answers in panic when told to fail', () => {
    const ill = hostList(endpoint('10.0.0.1:80', { health: 'unhealthy' }));
    const calm = world({ common_lb_config: { healthy_panic_threshold: { value: 0 } } }, { hosts: ill });
    expect(pick(calm)).toBeUndefined();
    const strict = world(
      { common_lb_config: { zone_aware_lb_config: { fail_traffic_on_panic: true } } },
      { hosts: ill },
    );
    expect(pick(strict)).toBeUndefined();
    expect(strict.counts()).toMatchObject({ lb_healthy_panic: 1 });
  });

  it('takes the panic threshold of the runtime', () => {
    const runtime = changingRuntime({ 'upstream.healthy_panic_threshold': '0' });
    const here = world({}, { runtime, hosts: hostList(endpoint('10.0.0.1:80', { health: 'unhealthy' })) });
    expect(pick(here)).toBeUndefined();
  });

  it('spills to the next priority, by the hash of the request where hosts are picked by it', () => {
    const here = world(
      {},
      {
        hosts: {
          localities: [
            localityOf(0, '10.0.0.1:80', endpoint('10.0.0.2:80', { health: 'unhealthy' })),
            localityOf(1, '10.0.1.1:80'),
          ],
        },
        registry: new ExtensionRegistry([byHash]),
      },
    );
    expect(pick(here, hash(69n))).toBe('10.0.0.1:80');
    expect(pick(here, hash(70n))).toBe('10.0.1.1:80');
    expect(pick(here, hash(18446744073709551600n + 69n - 100n))).toBe('10.0.0.1:80');
    expect(pick(here, hash(18446744073709551500n + 70n))).toBe('10.0.1.1:80');
    const drawn = Array.from({ length: 1000 }, () => pick(here));
    const spilled = drawn.filter((address) => address === '10.0.1.1:80').length;
    expect(spilled).toBeGreaterThan(250);
    expect(spilled).toBeLessThan(350);
  });

  it('uses degraded hosts for what healthy ones cannot carry', () => {
    const weak = endpoint('10.0.0.2:80', { health: 'degraded' });
    const here = world(
      {},
      { hosts: hostList('10.0.0.1:80', weak), registry: new ExtensionRegistry([byHash]) },
    );
    expect([pick(here, hash(0n)), pick(here, hash(99n))]).toEqual(['10.0.0.1:80', '10.0.0.2:80']);
  });

  it('does not ask for a hash that hosts are not picked by', () => {
    const weak = endpoint('10.0.0.2:80', { health: 'degraded' });
    const here = world({}, { hosts: hostList('10.0.0.1:80', weak) });
    const context = {
      get hash(): HashValue {
        throw new Error('asked');
      },
    };
    expect(pick(here, context)).toBeDefined();
  });

  it('draws again for a host that the caller has had, and gives it all the same when there is no other', () => {
    const here = world({}, { hosts: hostList('10.0.0.1:80', '10.0.0.2:80') });
    const not = (address: string) => ({ shouldSkip: (host: Host) => host.address.text === address });
    expect(pick(here, not('10.0.0.1:80'))).toBe('10.0.0.2:80');
    const alone = world({}, { hosts: hostList('10.0.0.1:80') });
    expect(pick(alone, not('10.0.0.1:80'))).toBe('10.0.0.1:80');
  });

  it('says which attempt it is', () => {
    const attempts: unknown[] = [];
    const counting = defineLoadBalancer({
      ...inOrder,
      config: RoundRobinSchema,
      create: () => ({
        createPicker: ([host]: readonly Host[]) => ({
          pick: (_: unknown, attempt?: number) => {
            attempts.push(attempt);
            return host;
          },
        }),
      }),
    });
    const here = world({}, { registry: new ExtensionRegistry([counting]) });
    pick(here, { shouldSkip: () => true, hostSelectionAttempts: 3 });
    expect(attempts).toEqual([0, 1, 2, 3]);
  });

  it.each([
    [undefined, 2],
    [0, 1],
    [1, 2],
    [4, 5],
  ])('with %s attempts more: %i picks in all', (hostSelectionAttempts, picks) => {
    const here = world({}, { hosts: hostList('10.0.0.1:80', '10.0.0.2:80') });
    let asked = 0;
    const shouldSkip = () => ++asked > 0;
    const host = pick(here, {
      shouldSkip,
      ...(hostSelectionAttempts === undefined ? {} : { hostSelectionAttempts }),
    });
    // The last one drawn is not judged: it is taken in any case.
    expect(asked).toBe(picks - 1);
    expect(host).toBe(picks % 2 === 1 ? '10.0.0.1:80' : '10.0.0.2:80');
  });

  it('goes by the shares that the caller has for its priorities, degraded hosts included', () => {
    const weak = endpoint('10.0.1.1:80', { health: 'degraded' });
    const here = world(
      {},
      {
        hosts: {
          localities: [localityOf(0, '10.0.0.1:80'), localityOf(1, weak), localityOf(2, '10.0.2.1:80')],
        },
        registry: new ExtensionRegistry([byHash]),
      },
    );
    const seen: unknown[] = [];
    const by = (healthy: number[], degraded: number[]) =>
      pick(here, {
        ...hash(0n),
        priorityShares: (sets, original) => {
          seen.push([sets.length, original.healthy, original.degraded]);
          return { healthy, degraded };
        },
      });
    expect(by([100, 0, 0], [0, 0, 0])).toBe('10.0.0.1:80');
    expect(by([0, 0, 100], [0, 0, 0])).toBe('10.0.2.1:80');
    expect(by([0, 0, 0], [0, 100, 0])).toBe('10.0.1.1:80');
    expect(seen[0]).toEqual([3, [100, 0, 0], [0, 0, 0]]);
  });
});
