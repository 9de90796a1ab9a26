import type { Host, HostSet, LoadBalancerPolicy } from '@dragoman/core';
import { hostSetOf, simpleBalancer, testHost, testHosts } from '@dragoman/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { reportOf, reportWeight, sceneOf, type Scene, weights } from './support.ts';

/** The shortest blackout and period. */
const AT_ONCE = { blackout_period: '0s', weight_update_period: '0.1s' };

function sceneWith(hosts: readonly Host[], config: object): Scene {
  const scene = sceneOf(config);
  scene.balancer.update([hostSetOf(hosts)]);
  return scene;
}

function reportWeights(hosts: readonly Host[], reported: readonly number[]): void {
  for (const [index, weight] of reported.entries()) reportWeight(hosts[index], weight);
}

function counts(scene: Scene, picks: number): Map<Host | undefined, number> {
  const found = new Map<Host | undefined, number>();
  for (let i = 0; i < picks; i++) {
    const host = scene.balancer.choose(undefined);
    found.set(host, (found.get(host) ?? 0) + 1);
  }
  return found;
}

describe('the weight of a host', () => {
  it('is 1 until somebody reports, whatever was configured', () => {
    const hosts = testHosts(3, [5, 1, 7]);
    sceneWith(hosts, {});
    expect(weights(hosts)).toEqual([1, 1, 1]);
  });

  it('comes of its reports once they have come for the blackout period', () => {
    const hosts = testHosts(2);
    const { clock } = sceneWith(hosts, { blackout_period: '10s' });
    clock.advance(500);
    reportWeight(hosts[0], 40);
    clock.advance(9_999);
    reportWeight(hosts[0], 50);
    expect(weights(hosts)).toEqual([1, 1]);
    clock.advance(501);
    // The other has none of its own: the median.
    expect(weights(hosts)).toEqual([50, 50]);
    reportWeight(hosts[1], 7);
    clock.advance(9_999);
    expect(weights(hosts)).toEqual([50, 50]);
    clock.advance(1);
    expect(weights(hosts)).toEqual([50, 7]);
  });

  it('counts from a moment that is exactly the blackout period ago', () => {
    const [host] = testHosts(1);
    const { clock } = sceneWith([host], { blackout_period: '2s', weight_update_period: '1s' });
    reportWeight(host, 9);
    clock.advance(1_999);
    expect(host.weight).toBe(1);
    clock.advance(1);
    expect(host.weight).toBe(9);
  });

  it('expires without reports, and then has its blackout period anew', () => {
    const [host] = testHosts(1);
    const { clock } = sceneWith([host], {
      blackout_period: '10s',
      weight_expiration_period: '60s',
      weight_update_period: '1s',
    });
    reportWeight(host, 9);
    clock.advance(60_000);
    expect(host.weight).toBe(9);
    clock.advance(1_000);
    expect(host.weight).toBe(1);
    reportWeight(host, 12);
    clock.advance(9_000);
    expect(host.weight).toBe(1);
    clock.advance(1_000);
    expect(host.weight).toBe(12);
  });

  it('stays what it was when a report comes to no weight', () => {
    const [host] = testHosts(1);
    const { clock } = sceneWith([host], AT_ONCE);
    reportWeight(host, 9);
    host.onLoadReport?.(reportOf({ rpsFractional: 0 }));
    host.onLoadReport?.(reportOf({ cpuUtilization: 0 }));
    clock.advance(100);
    expect(host.weight).toBe(9);
  });

  it.each([
    [[40], 40],
    [[40, 42], 41],
    [[40, 43], 41],
    [[5, 1, 100], 5],
    [[100, 1, 7, 8], 7],
    [[2 ** 32 - 1, 2 ** 32 - 1], 2 ** 32 - 1],
  ])('is the median of %j for one that has none: %d', (reported, median) => {
    const hosts = testHosts(reported.length + 2);
    const { clock } = sceneWith(hosts, AT_ONCE);
    reportWeights(hosts, reported);
    clock.advance(100);
    expect(weights(hosts)).toEqual([...reported, median, median]);
  });

  it('has to do with hosts of its own priority alone, healthy or not', () => {
    const [a, b, c, d] = testHosts(4);
    const { clock, balancer } = sceneOf(AT_ONCE);
    balancer.update([
      hostSetOf([a, b], { healthyHosts: [b], healthyHostsByLocality: [[b]] }),
      hostSetOf([c, d], { priority: 1 }),
    ]);
    reportWeight(a, 30);
    reportWeight(c, 8);
    clock.advance(100);
    expect(weights([a, b, c, d])).toEqual([30, 30, 8, 8]);
  });
});

describe('picks', () => {
  it('are in turn while weights are equal, and go by them as soon as they are not', () => {
    const hosts = testHosts(3);
    const scene = sceneWith(hosts, AT_ONCE);
    const [a, b, c] = hosts;
    expect(Array.from({ length: 4 }, () => scene.balancer.choose(undefined))).toEqual([a, b, c, a]);
    reportWeight(a, 2);
    reportWeight(b, 1);
    reportWeight(c, 1);
    scene.clock.advance(100);
    // Earliest deadline first from the beginning: a at ½, then all at 1 in their order, as long as they wait.
    expect(Array.from({ length: 8 }, () => scene.balancer.choose(undefined))).toEqual([
      a,
      b,
      c,
      a,
      a,
      b,
      c,
      a,
    ]);
  });

  it('are in proportion to what hosts report', () => {
    const reports = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(reports, (reported) => {
        const hosts = testHosts(reported.length);
        const scene = sceneWith(hosts, AT_ONCE);
        reportWeights(hosts, reported);
        scene.clock.advance(100);
        const found = counts(scene, reported.reduce((sum, weight) => sum + weight, 0) * 3);
        reported.forEach((weight, index) => {
          expect(Math.abs((found.get(hosts[index]) ?? 0) - weight * 3)).toBeLessThanOrEqual(1);
        });
      }),
    );
  });

  it('go by the weights of before after an update that brings the configured ones', () => {
    const hosts = testHosts(2);
    const scene = sceneWith(hosts, AT_ONCE);
    reportWeight(hosts[0], 30);
    reportWeight(hosts[1], 10);
    scene.clock.advance(100);
    hosts[0].weight = 1;
    const added = testHost('10.0.1.1:80', 99);
    scene.balancer.update([hostSetOf([...hosts, added])]);
    expect(weights([...hosts, added])).toEqual([30, 10, 20]);
    expect(counts(scene, 60)).toEqual(
      new Map([
        [hosts[0], 30],
        [hosts[1], 10],
        [added, 20],
      ]),
    );
  });

  it('start slowly with a new host', () => {
    const scene = sceneOf({ slow_start_config: { slow_start_window: '10s' } });
    const [old] = testHosts(1);
    const fresh = testHost('10.0.1.1:80', 1, { healthySince: scene.clock.now() });
    scene.balancer.update([hostSetOf([old, fresh])]);
    expect(counts(scene, 110).get(fresh)).toBe(10);
    scene.clock.advance(5_000);
    expect((counts(scene, 300).get(fresh) ?? 0) / 300).toBeCloseTo(1 / 3, 1);
  });
});

describe('the balancer inside', () => {
  /** Notes the sets of each update. */
  function spying(config: object): Scene & { readonly seen: (readonly HostSet[])[] } {
    const seen: (readonly HostSet[])[] = [];
    const standard = (policy: LoadBalancerPolicy) => {
      const inner = simpleBalancer(policy);
      return {
        ...inner,
        update: (sets: readonly HostSet[]) => {
          seen.push(sets);
          inner.update(sets);
        },
      };
    };
    return { ...sceneOf(config, {}, standard), seen };
  }

  it('hears of a set anew only when its hosts or their weights have changed', () => {
    const { clock, balancer, seen } = spying(AT_ONCE);
    const [first, second] = [hostSetOf(testHosts(2)), hostSetOf(testHosts(2), { priority: 1 })];
    balancer.update([first, second]);
    clock.advance(1_000);
    expect(seen).toHaveLength(1);
    reportWeight(second.hosts[0], 5);
    clock.advance(1_000);
    expect(seen).toHaveLength(2);
    const [before, after] = seen;
    expect(after[0]).toBe(before[0]);
    expect(after[1]).not.toBe(before[1]);
    expect(after[1]).toEqual(second);
    balancer.update([first, second]);
    expect(seen[2][0]).toBe(before[0]);
    expect(seen[2][1]).toBe(after[1]);
  });

  it('tells whose turn it will be where that does', () => {
    const [host] = testHosts(1);
    const asked: unknown[] = [];
    const standard = (policy: LoadBalancerPolicy) => {
      if (!('createBalancer' in policy)) asked.push(policy.foreseeable);
      return { ...simpleBalancer(policy), peek: () => host };
    };
    expect(sceneOf({}, {}, standard).balancer.peek?.()).toBe(host);
    expect(asked).toEqual([true]);
    expect(sceneOf().balancer.peek).toBeUndefined();
  });

  it('ends with it, and no time runs any more', () => {
    let ended = 0;
    const standard = (policy: LoadBalancerPolicy) => ({
      ...simpleBalancer(policy),
      close: () => void ended++,
    });
    const { clock, balancer } = sceneOf({}, {}, standard);
    balancer.update([hostSetOf(testHosts(1))]);
    expect(clock.pendingTimers).toBe(1);
    clock.advance(5_000);
    expect(clock.pendingTimers).toBe(1);
    balancer.close?.();
    expect([ended, clock.pendingTimers]).toEqual([1, 0]);
  });
});
