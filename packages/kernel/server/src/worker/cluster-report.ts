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
  /** The worker has made it itself: others may not have it. */
  readonly own?: true;
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

function reportCluster({ info, hostSets, ownHosts }: Cluster): ClusterReport {
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
    priorities: hostSets.map((set) => ({
      priority: set.priority,
      localities: reportLocalities(set, ownHosts),
    })),
  };
}

function reportLocalities(
  { hostsByLocality, localityWeights }: HostSet,
  own: ReadonlySet<Host> | undefined,
): LocalityReport[] {
  return hostsByLocality.map((hosts, i) => ({
    weight: localityWeights?.[i],
    hosts: hosts.map((host) =>
      own?.has(host) === true ? { ...reportHost(host), own: true } : reportHost(host),
    ),
  }));
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

/**
 * Adds up what several workers report. One that has not heard of a change yet counts where its hosts are the same. Hosts that workers
 * have made themselves are those of all of them.
 */
export function mergeReports(reports: readonly (readonly ClusterReport[])[]): readonly ClusterReport[] {
  const [first = [], ...others] = reports;
  return first.map((alone) => {
    const same = others.flatMap((list) => list.filter(({ name }) => name === alone.name));
    const cluster = withOwnHosts(alone, same);
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

/** With the hosts that only others have made, without their numbers: those are added like any others'. */
function withOwnHosts(cluster: ClusterReport, others: readonly ClusterReport[]): ClusterReport {
  const known = new Set(ownHosts(cluster).map(({ address }) => address));
  const further: HostReport[] = [];
  for (const host of others.flatMap(ownHosts)) {
    if (known.has(host.address)) continue;
    known.add(host.address);
    further.push({ ...host, stats: NO_NUMBERS });
  }
  if (further.length === 0) return cluster;
  const [{ priority, localities }, ...rest] = cluster.priorities;
  const own = localities.find(({ hosts }) => hosts.some((host) => host.own === true));
  const joined = { weight: own?.weight, hosts: [...(own?.hosts ?? []), ...further] };
  const found = localities.filter((locality) => locality !== own);
  return { ...cluster, priorities: [{ priority, localities: [...found, joined] }, ...rest] };
}

const NO_NUMBERS = Object.fromEntries(HOST_NUMBERS.map((name) => [name, 0])) as HostNumbers;

function ownHosts({ priorities }: ClusterReport): HostReport[] {
  const [first] = priorities;
  return first === undefined
    ? []
    : first.localities.flatMap(({ hosts }) => hosts.filter(({ own }) => own === true));
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
