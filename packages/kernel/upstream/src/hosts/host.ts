import {
  Address,
  type EndpointData,
  HealthFlag,
  type Host,
  type HostStats,
  type HttpPool,
  type Locality,
  type MetadataValue,
} from '@dragoman/core';
import { LocalCounter, LocalGauge } from '../stats/local-stats.ts';

/** Metadata by namespace, then key. */
export type MetadataMap = ReadonlyMap<string, Readonly<Record<string, MetadataValue>>>;

const NO_METADATA: MetadataMap = new Map();

/** A pool of a host, as far as whoever removes the host needs it. */
export interface DrainablePool extends HttpPool {
  /** Idle connections close now, others when their request ends; `onDrained` runs when nothing is left, perhaps at once. */
  drain(onDrained: () => void): void;
  /** Every connection ends now. */
  closeAll(): void;
  /** Nothing is open or waiting. */
  readonly unused: boolean;
}

const FAILED =
  HealthFlag.failed_active_hc |
  HealthFlag.failed_outlier_check |
  HealthFlag.failed_eds_health |
  HealthFlag.active_hc_timeout |
  HealthFlag.eds_status_draining;
const DEGRADED = HealthFlag.degraded_active_hc | HealthFlag.degraded_eds_health;
/** The flags that an update of the host list decides. */
const FROM_SOURCE =
  HealthFlag.failed_eds_health | HealthFlag.degraded_eds_health | HealthFlag.eds_status_draining;

/** Whether a host with these flags counts as healthy, degraded or neither. */
export function isHealthy(flags: number): boolean {
  return (flags & (FAILED | DEGRADED)) === 0;
}

export function isDegraded(flags: number): boolean {
  return (flags & FAILED) === 0 && (flags & DEGRADED) !== 0;
}

/** The health flags that a source's word on an endpoint means (as Envoy maps `health_status`). */
export function sourceHealthFlags(health: EndpointData['health']): number {
  switch (health) {
    case 'unhealthy':
    case 'timeout':
      return HealthFlag.failed_eds_health;
    case 'draining':
      return HealthFlag.eds_status_draining;
    case 'degraded':
      return HealthFlag.degraded_eds_health;
    default:
      return 0;
  }
}

class LocalHostStats implements HostStats {
  readonly cxTotal = new LocalCounter('cx_total');
  readonly cxActive = new LocalGauge('cx_active');
  readonly cxConnectFail = new LocalCounter('cx_connect_fail');
  readonly rqTotal = new LocalCounter('rq_total');
  readonly rqActive = new LocalGauge('rq_active');
  readonly rqSuccess = new LocalCounter('rq_success');
  readonly rqError = new LocalCounter('rq_error');
  readonly rqTimeout = new LocalCounter('rq_timeout');
}

/** One host on this worker. It lives as long as its identity stays in the cluster, whatever else an update changes. */
export class UpstreamHost implements Host {
  /** Where new connections go. */
  address: Address;
  readonly clusterName: string;
  readonly stats: HostStats = new LocalHostStats();
  hostname = '';
  locality!: Locality;
  priority = 0;
  canary = false;
  metadata: MetadataMap = NO_METADATA;
  weight = 1;
  healthFlags = 0;
  activeRequests = 0;
  defaultPool: DrainablePool | undefined = undefined;
  highPool: DrainablePool | undefined = undefined;

  /** @throws RangeError when `address` is not the text of an {@link Address} */
  constructor(clusterName: string, address: string) {
    this.address = parseAddress(address);
    this.clusterName = clusterName;
  }

  /**
   * Takes over what an update says of this host.
   *
   * @throws RangeError when it has moved to something that is no address
   */
  update(data: EndpointData, locality: Locality, priority: number): void {
    if (data.address !== this.address.text) this.address = parseAddress(data.address);
    this.hostname = data.hostname;
    this.locality = locality;
    this.priority = priority;
    this.weight = data.weight;
    this.metadata = data.metadata === undefined ? NO_METADATA : new Map(Object.entries(data.metadata));
    this.canary = this.metadata.get('envoy.lb')?.['canary'] === true;
    this.healthFlags = (this.healthFlags & ~FROM_SOURCE) | sourceHealthFlags(data.health);
  }
}

function parseAddress(text: string): Address {
  const address = Address.parse(text);
  if (address === undefined) throw new RangeError(`"${text}" is not an address`);
  return address;
}
