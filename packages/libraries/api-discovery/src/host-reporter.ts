import { isDeepStrictEqual } from 'node:util';
import type {
  Counter,
  DiscoveryContext,
  DiscoveryListener,
  EndpointData,
  HostListUpdate,
  Locality,
  LocalityEndpoints,
  Logger,
} from '@dragoman/core';

/** An endpoint and where it is. */
export interface LocatedEndpoint {
  readonly locality: Locality;
  readonly endpoint: EndpointData;
}

/** Which of two entries of one address stands: the one that is better off. */
const RANK = { healthy: 0, degraded: 1, draining: 2, timeout: 3, unhealthy: 4 } as const;

const rank = ({ endpoint }: LocatedEndpoint): number => RANK[endpoint.health ?? 'healthy'];

/** What a source says to its cluster, and counts: `update_…` below `cluster.<name>.`. */
export class HostReporter {
  private readonly listener: DiscoveryListener;
  private readonly attempts: Counter;
  private readonly successes: Counter;
  private readonly failures: Counter;
  private readonly rejections: Counter;
  private readonly empties: Counter;
  private readonly unchanged: Counter;
  private readonly logger: Logger;
  private last: HostListUpdate | undefined = undefined;
  private lastOmission = '';

  constructor(context: DiscoveryContext, listener: DiscoveryListener) {
    const { clusterScope } = context;
    this.listener = listener;
    this.attempts = clusterScope.counter('update_attempt');
    this.successes = clusterScope.counter('update_success');
    this.failures = clusterScope.counter('update_failure');
    this.rejections = clusterScope.counter('update_rejected');
    this.empties = clusterScope.counter('update_empty');
    this.unchanged = clusterScope.counter('update_no_rebuild');
    this.logger = context.loggers.logger('upstream');
  }

  /** Something was published. */
  get published(): boolean {
    return this.last !== undefined;
  }

  /** A request goes out. */
  attempt(): void {
    this.attempts.inc();
  }

  /** The source could not be asked. What was known stays. */
  failed(reason: string): void {
    this.failures.inc();
    this.listener.onFailure(reason);
  }

  /** The source said something that cannot be used. What was known stays. */
  rejected(reason: string): void {
    this.rejections.inc();
    this.listener.onFailure(reason);
  }

  /** Entries that are no hosts are left out of lists: news the first time, and whenever the reason is another. */
  omitted(count: number, reason: string): void {
    if (reason === this.lastOmission) return;
    this.lastOmission = reason;
    if (count > 0) this.logger.warn(`${count} left out of the hosts: ${reason}`);
  }

  /**
   * The whole list. Of entries with one address the healthiest stands, the first of equals. Published when it differs from the last
   * one; the order of `entries` makes no difference.
   */
  hosts(entries: Iterable<LocatedEndpoint>): void {
    this.successes.inc();
    const update = hostList(entries);
    if (update.localities.length === 0) this.empties.inc();
    if (isDeepStrictEqual(update, this.last)) {
      this.unchanged.inc();
      return;
    }
    this.last = update;
    this.listener.onHosts(update);
  }
}

function hostList(entries: Iterable<LocatedEndpoint>): HostListUpdate {
  const byAddress = new Map<string, LocatedEndpoint>();
  for (const entry of entries) {
    const { address } = entry.endpoint;
    const known = byAddress.get(address);
    if (known === undefined || rank(entry) < rank(known)) byAddress.set(address, entry);
  }
  const groups = new Map<string, { locality: Locality; endpoints: EndpointData[] }>();
  for (const address of [...byAddress.keys()].sort()) {
    const { locality, endpoint } = byAddress.get(address) as LocatedEndpoint;
    const key = JSON.stringify([locality.region, locality.zone, locality.subZone]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { locality, endpoints: [endpoint] });
    else group.endpoints.push(endpoint);
  }
  const localities: LocalityEndpoints[] = [...groups.keys()].sort().map((key) => {
    const { locality, endpoints } = groups.get(key) as { locality: Locality; endpoints: EndpointData[] };
    return { locality, weight: 0, priority: 0, endpoints };
  });
  return { localities };
}
