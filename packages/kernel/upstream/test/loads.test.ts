import type { Cluster, Host, LoadReport, LocalityEndpoints } from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import type { ClusterLoad } from '../src/index.ts';
import { clusterMessage, endpoint, hostList, localityOf, world, type World } from './support/clusters.ts';

const place = (zone: string, priority: number, ...addresses: string[]): LocalityEndpoints => ({
  ...localityOf(priority, ...addresses),
  locality: { region: '', zone, subZone: '' },
});

const hostsOf = ({ hostSets }: Cluster): readonly Host[] => hostSets.flatMap(({ hosts }) => hosts);

function requests(host: Host, count: number, success = count, error = 0, active = 0): void {
  host.stats.rqTotal.add(count);
  host.stats.rqSuccess.add(success);
  host.stats.rqError.add(error);
  host.stats.rqActive.add(active);
  host.activeRequests += active;
}

/** A report in short: `zone.priority issued/success/error/active`. */
function shown({ localities }: ClusterLoad): string[] {
  return localities.map(
    ({ locality, priority, issued, success, error, active }) =>
      `${locality.zone}.${priority} ${issued}/${success}/${error}/${active}`,
  );
}

function latch({ manager }: World, perEndpoint = false): ClusterLoad {
  const [load] = manager.latchLoads(['web'], perEndpoint);
  if (load === undefined) throw new Error('there is no such cluster');
  return load;
}

const ORCA: LoadReport = {
  cpuUtilization: 0.5,
  memUtilization: 0,
  applicationUtilization: 0,
  rpsFractional: 0,
  eps: 0,
  requestCost: new Map(),
  utilization: new Map(),
  namedMetrics: new Map([['queue', 4]]),
};

it('sums hosts up by locality and priority, each time anew', () => {
  const here = world(
    {},
    {
      hosts: {
        localities: [
          place('a', 0, '10.0.0.1:80', '10.0.0.2:80'),
          place('a', 1, '10.0.0.3:80'),
          place('b', 0, '10.0.0.4:80'),
        ],
      },
    },
  );
  const [one, two, far] = hostsOf(here.cluster) as [Host, Host, Host];
  requests(one, 5, 3, 1, 1);
  requests(two, 2);
  const low = here.cluster.hostSets[1]?.hosts[0] as Host;
  requests(low, 1, 0, 1);
  expect(shown(latch(here))).toEqual(['a.0 7/5/1/1', 'a.1 1/0/1/0']);
  // What is under way is told each time.
  expect(shown(latch(here))).toEqual(['a.0 0/0/0/1']);
  requests(far, 1);
  requests(one, 0, 0, 1, -1);
  expect(shown(latch(here))).toEqual(['a.0 0/0/1/0', 'b.0 1/1/0/0']);
  expect(latch(here)).toEqual({ name: 'web', dropped: 0, overloads: [], localities: [] });
});

it('makes no stats of hosts that nobody has used', () => {
  const here = world();
  latch(here);
  expect((hostsOf(here.cluster)[0] as { counted?: unknown }).counted).toBeUndefined();
});

it('tells the numbers of endpoints when asked', () => {
  const here = world({}, { hosts: hostList('10.0.0.1:80', '10.0.0.2:80', '10.0.0.3:80') });
  const [one, two] = hostsOf(here.cluster) as [Host, Host];
  requests(one, 2);
  requests(two, 3, 1, 1, 1);
  const [locality] = latch(here, true).localities;
  expect(locality?.endpoints).toEqual([
    { address: '10.0.0.1:80', issued: 2, success: 2, error: 0, active: 0, metrics: [] },
    { address: '10.0.0.2:80', issued: 3, success: 1, error: 1, active: 1, metrics: [] },
  ]);
  expect(latch(here).localities[0]?.endpoints).toEqual([]);
});

describe('a host that leaves', () => {
  it('is told of once more, and for as long as it has requests under way', () => {
    const here = world({}, { hosts: { localities: [place('a', 0, '10.0.0.1:80', '10.0.0.2:80')] } });
    latch(here);
    const [one, two] = hostsOf(here.cluster) as [Host, Host];
    requests(one, 3, 2, 0, 1);
    requests(two, 1);
    here.manager.updateHosts('web', { localities: [place('a', 0, '10.0.0.2:80')] });
    expect(shown(latch(here))).toEqual(['a.0 4/3/0/1']);
    requests(one, 0, 1, 0, -1);
    expect(shown(latch(here))).toEqual(['a.0 0/1/0/0']);
    requests(one, 1);
    expect(shown(latch(here))).toEqual([]);
  });

  it.each([
    ['nobody has asked yet', (_: World) => {}],
    [
      'nobody wants to know any more',
      (here: World) => {
        latch(here);
        here.manager.latchLoads([], false);
      },
    ],
  ])('is forgotten where %s', (_, before) => {
    const here = world({}, { hosts: hostList('10.0.0.1:80') });
    before(here);
    requests(hostsOf(here.cluster)[0] as Host, 3);
    here.manager.updateHosts('web', hostList('10.0.0.2:80'));
    expect(shown(latch(here))).toEqual([]);
  });

  it('is forgotten where too many have left', () => {
    const many = Array.from({ length: 1200 }, (_, i) => `10.0.${i >> 8}.${i & 255}:80`);
    const here = world({}, { hosts: hostList(...many) });
    latch(here);
    for (const host of hostsOf(here.cluster)) requests(host, 1);
    here.manager.updateHosts('web', hostList('10.9.0.1:80'));
    expect(shown(latch(here))).toEqual(['.0 1000/1000/0/0']);
  });
});

it('goes on where a cluster is replaced', () => {
  const here = world({}, { hosts: hostList('10.0.0.1:80') });
  latch(here);
  requests(hostsOf(here.cluster)[0] as Host, 2, 1, 0, 1);
  here.cluster.info.requestsDropped?.inc();
  here.manager.addOrUpdateCluster(clusterMessage({ connect_timeout: '3s' }), hostList('10.0.0.1:80'));
  const next = here.manager.get('web') as Cluster;
  requests(hostsOf(next)[0] as Host, 1);
  next.info.requestsDropped?.inc();
  const load = latch(here);
  expect([load.dropped, ...shown(load)]).toEqual([2, '.0 3/2/0/1']);
});

it('begins anew where a cluster goes and comes back', () => {
  const here = world({}, { hosts: hostList('10.0.0.1:80') });
  latch(here);
  requests(hostsOf(here.cluster)[0] as Host, 2);
  here.manager.removeCluster('web');
  expect(here.manager.latchLoads(['web'], false)).toEqual([]);
  here.manager.addOrUpdateCluster(clusterMessage({}), hostList('10.0.0.1:80'));
  expect(shown(latch(here))).toEqual([]);
});

it('tells what was turned away, by category', () => {
  const drops = (category: string) => ({ ...hostList('10.0.0.1:80'), dropOverload: { category, ratio: 1 } });
  const here = world({}, { hosts: drops('lb') });
  here.cluster.drops?.dropped.inc();
  here.cluster.info.requestsDropped?.add(3);
  here.manager.updateHosts('web', drops('throttle'));
  here.cluster.drops?.dropped.add(2);
  expect(latch(here)).toMatchObject({
    dropped: 3,
    overloads: [
      { category: 'lb', count: 1 },
      { category: 'throttle', count: 2 },
    ],
  });
  here.cluster.drops?.dropped.inc();
  expect(latch(here)).toMatchObject({ dropped: 0, overloads: [{ category: 'throttle', count: 1 }] });
  expect(here.counts()).toMatchObject({ upstream_rq_drop_overload: 4 });
});

describe('lrs_report_endpoint_metrics', () => {
  const METRICS = { lrs_report_endpoint_metrics: ['named_metrics.*', 'cpu_utilization'] };

  it('sums up what hosts report, beside a policy that listens', () => {
    const here = world(METRICS, { hosts: hostList('10.0.0.1:80', '10.0.0.2:80') });
    const [one, two] = hostsOf(here.cluster) as [Host, Host];
    let heard = 0;
    one.onLoadReport = () => void heard++;
    one.onLoadReport?.(ORCA);
    two.onLoadReport?.({ ...ORCA, namedMetrics: new Map([['other', 1]]) });
    // The policy does not want to know any more.
    one.onLoadReport = undefined;
    (one as Host).onLoadReport?.(ORCA);
    // A host that has reported has been asked.
    requests(one, 1);
    requests(two, 1);
    expect(heard).toBe(1);
    expect(latch(here).localities[0]?.metrics).toEqual([
      { name: 'named_metrics.queue', answers: 2, total: 8 },
      { name: 'cpu_utilization', answers: 3, total: 1.5 },
      { name: 'named_metrics.other', answers: 1, total: 1 },
    ]);
    expect(latch(here).localities).toEqual([]);
  });

  it('are those of hosts that come later too', () => {
    const here = world(METRICS, { hosts: hostList('10.0.0.1:80') });
    here.manager.updateHosts('web', hostList('10.0.0.1:80', endpoint('10.0.0.2:80')));
    const [, two] = hostsOf(here.cluster) as [Host, Host];
    requests(two, 1);
    two.onLoadReport?.(ORCA);
    expect(latch(here).localities[0]?.metrics).toHaveLength(2);
  });

  it('are not more than a host can make up', () => {
    const here = world(METRICS, { hosts: hostList('10.0.0.1:80') });
    const [one] = hostsOf(here.cluster) as [Host];
    requests(one, 1);
    for (let i = 0; i < 300; i++) one.onLoadReport?.({ ...ORCA, namedMetrics: new Map([[`m${i}`, i]]) });
    expect(latch(here).localities[0]?.metrics).toHaveLength(256);
  });

  it('costs nothing where it is not set', () => {
    expect(hostsOf(world().cluster)[0]?.onLoadReport).toBeUndefined();
  });

  it('warns of a name that no report has', () => {
    expect(world({ lrs_report_endpoint_metrics: ['cpu', 'named_metrics.x'] }).warnings).toEqual([
      expect.stringMatching(/^lrs_report_endpoint_metrics: "cpu" is no metric of a load report/),
    ]);
  });
});
