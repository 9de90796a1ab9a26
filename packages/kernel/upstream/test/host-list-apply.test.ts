import { Address, HealthFlag, type HostListUpdate } from '@dragoman/core';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { UpstreamHost } from '../src/hosts/host.ts';
import { applyHostList, EMPTY_SNAPSHOT, type HostSnapshot } from '../src/hosts/host-sets.ts';
import { HostListPublisher } from '../src/sources/host-list-publisher.ts';
import { HostListReceiver } from '../src/sources/host-list-receiver.ts';
import { endpoint, hostList, localityOf } from './support/clusters.ts';
import { histories } from './support/host-lists.ts';

const apply = (previous: HostSnapshot, update: HostListUpdate) =>
  applyHostList('web', previous, update, 0, () => {});

afterEach(() => {
  vi.restoreAllMocks();
});

/** What the sets of a snapshot say, apart from which objects the hosts are. */
const described = (snapshot: HostSnapshot) =>
  snapshot.sets.map((set) => {
    const names = (hosts: readonly object[]) =>
      hosts.map((host) => snapshot.hosts.indexOf(host as UpstreamHost));
    return {
      ...set,
      hosts: (set.hosts as UpstreamHost[]).map((host) => [
        host.address.text,
        host.hostname,
        host.locality,
        host.priority,
        host.weight,
        host.healthFlags,
        host.canary,
        host.metadata,
      ]),
      healthyHosts: names(set.healthyHosts),
      degradedHosts: names(set.degradedHosts),
      hostsByLocality: set.hostsByLocality.map(names),
      healthyHostsByLocality: set.healthyHostsByLocality.map(names),
      degradedHostsByLocality: set.degradedHostsByLocality.map(names),
    };
  });

const countByIdentity = (hosts: readonly UpstreamHost[]) =>
  Object.entries(Object.groupBy(hosts, (host) => host.identity)).map(
    ([identity, ones]) => [identity, ones?.length ?? 0] as const,
  );

describe('whatever lists follow each other', () => {
  it('the sets are those of the last list, and a host stays as long as its identity', () => {
    fc.assert(
      fc.property(histories, (lists) => {
        const publisher = new HostListPublisher();
        const receiver = new HostListReceiver();
        let snapshot = EMPTY_SNAPSHOT;
        for (const list of lists) {
          const message = publisher.publish(list);
          if (message === undefined) continue;
          const before = snapshot.hosts;
          const identities = before.map((host) => host.identity);
          const kept = new Map(countByIdentity(before));
          const { snapshot: next, removed } = apply(snapshot, receiver.receive(message));
          expect(described(next)).toEqual(described(apply(EMPTY_SNAPSHOT, structuredClone(list)).snapshot));
          expect(new Set(next.hosts).size).toBe(next.hosts.length);
          expect([...next.byKey.values()]).toEqual(next.hosts);
          const stayed = next.hosts.filter((host) => before.includes(host));
          expect(new Set([...stayed, ...removed])).toEqual(new Set(before));
          expect(stayed.length + removed.length).toBe(before.length);
          for (const host of stayed) expect(host.identity).toBe(identities[before.indexOf(host)]);
          const stayedOf = new Map(countByIdentity(stayed));
          for (const [identity, count] of countByIdentity(next.hosts))
            expect(stayedOf.get(identity) ?? 0).toBe(Math.min(count, kept.get(identity) ?? 0));
          snapshot = next;
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('an update in which nearly everything is the same', () => {
  const a = localityOf(0, '10.0.0.1:80', endpoint('10.0.0.2:80', { health: 'unhealthy' }));
  const b = localityOf(1, '10.0.1.1:80', endpoint('10.0.1.2:80', { health: 'degraded' }));

  it('does not read an address again, nor look into what it knows', () => {
    const { snapshot } = apply(EMPTY_SNAPSHOT, { localities: [a, b] });
    const [first] = snapshot.hosts;
    const { metadata } = first;
    const parse = vi.spyOn(Address, 'parse');
    const changed = { ...a, endpoints: [a.endpoints[0], { ...a.endpoints[1], weight: 2 }] };
    const { snapshot: next } = apply(snapshot, { localities: [changed, b] });
    expect(parse).not.toHaveBeenCalled();
    expect(next.hosts).toEqual(snapshot.hosts);
    expect(next.hosts[0].metadata).toBe(metadata);
    expect(next.hosts[1].weight).toBe(2);
  });

  it('uses the arrays of unchanged localities again, and whole sets of which nothing has changed', () => {
    const before = apply(EMPTY_SNAPSHOT, { localities: [a, b, localityOf(1, '10.0.1.3:80')] }).snapshot;
    const after = apply(before, { localities: [a, b, localityOf(1, '10.0.1.4:80')] }).snapshot;
    expect(after.sets[0]).toBe(before.sets[0]);
    expect(after.sets[1]).not.toBe(before.sets[1]);
    expect(after.sets[1].hostsByLocality[0]).toBe(before.sets[1].hostsByLocality[0]);
    expect(after.sets[1].healthyHostsByLocality[0]).toBe(before.sets[1].healthyHostsByLocality[0]);
  });

  it('makes a set anew when a host has another weight or the factor is another', () => {
    const before = apply(EMPTY_SNAPSHOT, { localities: [a] }).snapshot;
    const heavier = { ...a, endpoints: [{ ...a.endpoints[0], weight: 9 }, a.endpoints[1]] };
    const weighted = apply(before, { localities: [heavier] }).snapshot;
    expect(weighted.sets[0]).not.toBe(before.sets[0]);
    const factor = apply(weighted, { localities: [heavier], overprovisioningFactor: 200 }).snapshot;
    expect(factor.sets[0].overprovisioningFactor).toBe(200);
  });

  it('adds up the weights where they count for the health of a priority, of all but excluded hosts', () => {
    const heavy = localityOf(0, endpoint('10.0.0.1:80', { weight: 9 }), '10.0.0.2:80');
    const counted = apply(EMPTY_SNAPSHOT, { localities: [heavy] }).snapshot;
    expect(counted.sets[0].countedWeight).toBeUndefined();
    const weighed = apply(counted, { localities: [heavy], weightedPriorityHealth: true }).snapshot;
    expect(weighed.sets[0].countedWeight).toBe(10);
    weighed.hosts[0].healthFlags |= HealthFlag.pending_active_hc;
    const after = apply(weighed, { localities: [heavy], weightedPriorityHealth: true }).snapshot;
    expect(after.sets[0].countedWeight).toBe(1);
    expect(apply(after, { localities: [heavy], weightedPriorityHealth: true }).snapshot.sets[0]).toBe(
      after.sets[0],
    );
  });

  it('sees that the health of a host has changed meanwhile, whoever has changed it', () => {
    const before = apply(EMPTY_SNAPSHOT, { localities: [a, b] }).snapshot;
    const [first, , third] = before.hosts;
    first.healthFlags |= HealthFlag.failed_outlier_check;
    third.healthFlags |= HealthFlag.degraded_active_hc;
    const after = apply(before, { localities: [a, b] }).snapshot;
    expect(after.sets[0].healthyHosts).toEqual([]);
    expect(after.sets[1].degradedHosts).toEqual([third, before.hosts[3]]);
    expect(before.sets[0].healthyHosts).toEqual([first]);
  });

  it('gives a second listing of a whole locality hosts of its own', () => {
    const once = apply(EMPTY_SNAPSHOT, { localities: [a] }).snapshot;
    const twice = apply(once, { localities: [a, a] }).snapshot;
    expect(twice.hosts.slice(0, 2)).toEqual(once.hosts);
    expect(new Set(twice.hosts).size).toBe(4);
    const { snapshot, removed } = apply(twice, { localities: [a] });
    expect([...snapshot.hosts, ...removed]).toHaveLength(4);
    expect(twice.hosts).toEqual(expect.arrayContaining([...snapshot.hosts]));
  });

  it('does not take the host of an unchanged locality for one that is listed before it', () => {
    const before = apply(EMPTY_SNAPSHOT, { localities: [localityOf(0, '10.0.0.9:80'), a] }).snapshot;
    const { snapshot, removed } = apply(before, { localities: [localityOf(0, '10.0.0.1:80'), a] });
    expect(snapshot.hosts.slice(1)).toEqual(before.hosts.slice(1));
    expect(before.hosts).not.toContain(snapshot.hosts[0]);
    expect(removed).toEqual([before.hosts[0]]);
  });
});

it('copes with very many listings of one address', () => {
  const list = (count: number) => hostList(...Array.from({ length: count }, () => '10.0.0.1:80'));
  const before = apply(EMPTY_SNAPSHOT, list(20_000)).snapshot;
  expect(before.byKey.size).toBe(20_000);
  const { snapshot, removed } = apply(before, {
    localities: [localityOf(0, '10.0.0.2:80'), ...list(20_001).localities],
  });
  expect(removed).toEqual([]);
  expect(snapshot.hosts).toHaveLength(20_002);
});

it('makes the stats of a host when they are first looked at', () => {
  const [host] = apply(EMPTY_SNAPSHOT, hostList('10.0.0.1:80')).snapshot.hosts;
  host.stats.rqTotal.inc();
  expect(host.stats.rqTotal.value()).toBe(1);
});
