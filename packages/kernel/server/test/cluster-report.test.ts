import { expect, it } from 'vitest';
import {
  type ClusterReport,
  HOST_NUMBERS,
  type HostNumbers,
  type HostReport,
  mergeReports,
} from '../src/worker/cluster-report.ts';

function host(address: string, rqTotal: number, own?: true): HostReport {
  const zero = Object.fromEntries(HOST_NUMBERS.map((name) => [name, 0])) as HostNumbers;
  return {
    address,
    hostname: '',
    locality: { region: '', zone: '', subZone: '' },
    healthFlags: 0,
    weight: 1,
    canary: false,
    metadata: {},
    stats: { ...zero, rqTotal },
    ...(own === undefined ? {} : { own }),
  };
}

function report(...localities: HostReport[][]): ClusterReport[] {
  const breaker = { maxConnections: 1, maxPendingRequests: 1, maxRequests: 1, maxRetries: 1 };
  return [
    {
      name: 'web',
      observabilityName: 'web',
      circuitBreakers: { default: breaker, high: breaker },
      overprovisioningFactor: 140,
      priorities: [{ priority: 0, localities: localities.map((hosts) => ({ weight: undefined, hosts })) }],
    },
  ];
}

function totals(reports: readonly ClusterReport[]): Record<string, number> {
  const hosts = reports.flatMap(({ priorities }) =>
    priorities.flatMap(({ localities }) => localities.flatMap((locality) => locality.hosts)),
  );
  return Object.fromEntries(hosts.map(({ address, stats }) => [address, stats.rqTotal]));
}

it('adds up discovered hosts where they are the same, by the first worker', () => {
  const merged = mergeReports([report([host('a:1', 1)]), report([host('a:1', 2), host('b:1', 4)])]);
  expect(totals(merged)).toEqual({ 'a:1': 3 });
});

it('shows what any worker has made itself, once', () => {
  const merged = mergeReports([
    report([host('found:1', 1)], [host('a:1', 1, true)]),
    report([host('found:1', 1)], [host('a:1', 2, true), host('b:1', 4, true)]),
    report([host('found:1', 1)]),
    report([host('found:1', 1)], [host('b:1', 8, true)]),
  ]);
  expect(totals(merged)).toEqual({ 'found:1': 4, 'a:1': 3, 'b:1': 12 });
  expect(merged[0].priorities[0].localities).toHaveLength(2);
});

it('shows them also where the first worker has none', () => {
  const merged = mergeReports([report([]), report([], [host('b:1', 4, true)])]);
  expect(totals(merged)).toEqual({ 'b:1': 4 });
});
