import type {
  Cluster,
  ClusterManager,
  Host,
  HostSet,
  Locality,
  MetadataValue,
  RoutingPriority,
} from '@dragoman/core';

/** Maxima of one priority's circuit breaker. */
export interface BreakerReport {
  readonly maxConnections: number;
  readonly maxPendingRequests: number;
  readonly maxRequests: number;
  readonly maxRetries: number;
}

/** The numbers of a host, in an order of their own, so that those of several workers can be added up. */
export const HOST_NUMBERS = [
  'cxActive',
  'cxConnectFail',
  'cxTotal',
  'rqActive',
  'rqError',
  'rqSuccess',
  'rqTimeout',
  'rqTotal',
] as const;
export type HostNumbers = Record<(typeof HOST_NUMBERS)[number], number>;

/** A host as one worker sees it. */
export interface HostReport {
  readonly address: string;
  readonly hostname: string;
  readonly locality: Locality;
  readonly healthFlags: number;
  readonly weight: number;
  readonly canary: boolean;
  readonly metadata: Readonly<Record<string, Readonly<Record<string, MetadataValue>>>>;
  readonly stats: HostNumbers;
}

/** The hosts of one locality of one priority. */
export interface LocalityReport {
  readonly weight: number | undefined;
  readonly hosts: readonly HostReport[];
}

/** A cluster as one worker sees it. Plain data. */
export interface ClusterReport {
  readonly name: string;
  readonly observabilityName: string;
  readonly circuitBreakers: { readonly default: BreakerReport; readonly high: BreakerReport };
  readonly overprovisioningFactor: number | undefined;
  readonly priorities: readonly {
    readonly priority: number;
    readonly localities: readonly LocalityReport[];
  }[];
}

/** What the admin interface shows of clusters. */
export function reportClusters(clusters: ClusterManager): readonly ClusterReport[] {
  return Array.from(clusters.clusterNames, (name) => reportCluster(clusters.get(name) as Cluster));
}

function reportCluster({ info, hostSets }: Cluster): ClusterReport {
  const breaker = (priority: RoutingPriority): BreakerReport => {
    const resources = info.resources(priority);
    return {
      maxConnections: resources.connections.max,
      maxPendingRequests: resources.pendingRequests.max,
      maxRequests: resources.requests.max,
      maxRetries: resources.retries.max,
    };
  };
  return {
    name: info.name,
    observabilityName: info.observabilityName,
    circuitBreakers: { default: breaker('default'), high: breaker('high') },
    overprovisioningFactor: hostSets[0]?.overprovisioningFactor,
    priorities: hostSets.map((set) => ({ priority: set.priority, localities: reportLocalities(set) })),
  };
}

function reportLocalities({ hostsByLocality, localityWeights }: HostSet): LocalityReport[] {
  return hostsByLocality.map((hosts, i) => ({ weight: localityWeights?.[i], hosts: hosts.map(reportHost) }));
}

function reportHost({
  address,
  hostname,
  locality,
  healthFlags,
  weight,
  canary,
  metadata,
  stats,
}: Host): HostReport {
  const numbers = {} as HostNumbers;
  for (const name of HOST_NUMBERS) numbers[name] = stats[name].value();
  return {
    address: address.text,
    hostname,
    locality,
    healthFlags,
    weight,
    canary,
    metadata: Object.fromEntries(metadata),
    stats: numbers,
  };
}

/** Adds up what several workers report. One that has not heard of a change yet counts where its hosts are the same. */
export function mergeReports(reports: readonly (readonly ClusterReport[])[]): readonly ClusterReport[] {
  const [first = [], ...others] = reports;
  return first.map((cluster) => {
    const same = others.flatMap((list) => list.filter(({ name }) => name === cluster.name));
    const sums = same.map(hostNumbers);
    const seen = new Map<string, number>();
    return {
      ...cluster,
      priorities: cluster.priorities.map(({ priority, localities }) => ({
        priority,
        localities: localities.map(({ weight, hosts }) => ({
          weight,
          hosts: hosts.map((host) => {
            const key = nextKey(seen, priority, host.address);
            const stats = { ...host.stats };
            for (const numbers of sums)
              for (const name of HOST_NUMBERS) stats[name] += numbers.get(key)?.[name] ?? 0;
            return { ...host, stats };
          }),
        })),
      })),
    };
  });
}

/** An address may be listed several times: which of them it is tells it from the others. */
function nextKey(seen: Map<string, number>, priority: number, address: string): string {
  const base = `${priority} ${address}`;
  const occurrence = (seen.get(base) ?? 0) + 1;
  seen.set(base, occurrence);
  return `${base} ${occurrence}`;
}

function hostNumbers({ priorities }: ClusterReport): ReadonlyMap<string, HostNumbers> {
  const seen = new Map<string, number>();
  const numbers = new Map<string, HostNumbers>();
  for (const { priority, localities } of priorities)
    for (const { hosts } of localities)
      for (const { address, stats } of hosts) numbers.set(nextKey(seen, priority, address), stats);
  return numbers;
}
