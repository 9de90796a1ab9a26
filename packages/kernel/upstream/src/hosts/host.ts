import {
  Address,
  type EndpointData,
  HealthFlag,
  type Cluster,
  type Host,
  type HostMonitor,
  type HostStats,
  type HttpPool,
  type Locality,
  type MetadataValue,
  type RoutingPriority,
  type UpstreamTransportSocket,
} from '@dragoman/core';
import type { Http2Sessions } from '@dragoman/http2';
import type { MetricSums } from '../loads/metric-sums.ts';
import { LocalCounter, LocalGauge } from '../stats/local-stats.ts';

/** Metadata by namespace, then key. */
export type MetadataMap = ReadonlyMap<string, Readonly<Record<string, MetadataValue>>>;

type EndpointMetadata = NonNullable<EndpointData['metadata']>;

const NO_METADATA: MetadataMap = new Map();

/** A pool of a host, as far as whoever removes the host needs it. */
export interface DrainablePool extends HttpPool {
  /** Idle connections close now, others when their request ends; `onDrained` runs when nothing is left, perhaps at once. */
  drain(onDrained: () => void): void;
  /** Every connection ends now. */
  closeAll(): void;
  /** Opens a connection for a stream that is expected. @returns whether it did: not where it has enough, or may not */
  preconnect(): boolean;
  /** Nothing is open or waiting. */
  readonly unused: boolean;
  /** Called each time when {@link unused} has become true, unless the pool drains. */
  onUnused: (() => void) | undefined;
}

/** A pool for streams with wishes. */
export interface WishedPool {
  readonly pool: DrainablePool;
  readonly priority: RoutingPriority;
}

/** The transport socket of one host. */
export interface SocketChoice {
  /** What it was chosen by: other metadata, other choice. */
  readonly metadata: MetadataMap;
  readonly socket: UpstreamTransportSocket | undefined;
}

const FAILED =
  HealthFlag.failed_active_hc |
  HealthFlag.failed_outlier_check |
  HealthFlag.failed_eds_health |
  HealthFlag.active_hc_timeout |
  HealthFlag.eds_status_draining;
const DEGRADED = HealthFlag.degraded_active_hc | HealthFlag.degraded_eds_health;

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

/** All flags of an endpoint: what its source says, and what checks of main's came to. */
export function endpointHealthFlags({ health, checked }: EndpointData): number {
  return sourceHealthFlags(health) | (checked ?? 0);
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

/** How much of a host's counts load reports have told. */
export interface ReportedCounts {
  issued: number;
  success: number;
  error: number;
}

/** One host on this worker. It lives as long as its identity stays in the cluster, whatever else an update changes. */
export class UpstreamHost implements Host {
  /** Where new connections go. */
  address: Address;
  readonly clusterName: string;
  /** Whose pools it has: another cluster may hand it out. Undefined in tests of hosts alone. */
  owner: Pick<Cluster, 'httpPool' | 'newTcpConnection'> | undefined = undefined;
  /** What the source last said of it. */
  data: EndpointData | undefined = undefined;
  hostname = '';
  locality!: Locality;
  priority = 0;
  canary = false;
  metadata: MetadataMap = NO_METADATA;
  weight = 1;
  healthFlags = 0;
  activeRequests = 0;
  healthySince: number;
  monitor: HostMonitor | undefined = undefined;
  /** Where {@link monitor} counts. */
  monitorRow: number | undefined = undefined;
  /** Number of the update that listed it last. */
  listedBy = 0;
  /** Where it is among the hosts of the snapshot that was looked through last. A hint. */
  position = 0;
  /** Of streams that ask nothing of their connection. */
  defaultPool: DrainablePool | undefined = undefined;
  highPool: DrainablePool | undefined = undefined;
  /** Of the others, by what they ask for; made with the first. */
  wishedPools: Map<string, WishedPool> | undefined = undefined;
  /** Of its HTTP/2 connections; made with the first. */
  http2Sessions: Http2Sessions | undefined = undefined;
  /** Where its cluster has several: the transport socket that fits its metadata. */
  socketChoice: SocketChoice | undefined = undefined;
  /** Undefined: nothing yet. */
  reported: ReportedCounts | undefined = undefined;
  /** What it reports is summed up here for load reports. */
  metrics: MetricSums | undefined = undefined;
  private ownStats: HostStats | undefined = undefined;
  private policyListener: Host['onLoadReport'] = undefined;
  private listener: Host['onLoadReport'] = undefined;

  /**
   * @param now {@link Clock.now}
   * @throws RangeError when `address` is not the text of an {@link Address}
   */
  constructor(clusterName: string, address: string, now: number) {
    this.address = parseAddress(address);
    this.clusterName = clusterName;
    this.healthySince = now;
  }

  /** Made when first asked for: of a very long list, a worker may use only some hosts. */
  get stats(): HostStats {
    this.ownStats ??= new LocalHostStats();
    return this.ownStats;
  }

  /** {@link stats}; undefined while nobody has asked for them, so that nothing was counted. */
  get counted(): HostStats | undefined {
    return this.ownStats;
  }

  get onLoadReport(): Host['onLoadReport'] {
    return this.listener;
  }

  /** Of a load-balancing policy. */
  set onLoadReport(listener: Host['onLoadReport']) {
    this.policyListener = listener;
    this.listen();
  }

  /** Has {@link metrics} hear what the host reports, besides whoever else wants to know. */
  sumMetrics(metrics: MetricSums): void {
    this.metrics = metrics;
    this.listen();
  }

  private listen(): void {
    const { metrics, policyListener } = this;
    this.listener =
      metrics === undefined
        ? policyListener
        : (report) => {
            metrics.add(report);
            policyListener?.(report);
          };
  }

  /** Undefined: as its cluster's. */
  get secure(): boolean | undefined {
    return this.socketChoice === undefined ? undefined : (this.socketChoice.socket?.secure ?? false);
  }

  /** What makes it the same host in the next update. */
  get identity(): string {
    return this.data?.id ?? this.data?.address ?? this.address.text;
  }

  /**
   * Takes over what an update says of this host. Data in the same object as before is not looked into.
   *
   * @returns whether there may be news in it
   * @throws RangeError when it has moved to something that is no address; it is as before then
   */
  update(data: EndpointData, locality: Locality, priority: number, now: number): boolean {
    const before = this.data;
    if (data === before && locality === this.locality && priority === this.priority) return false;
    if (data.address !== before?.address && data.address !== this.address.text)
      this.address = parseAddress(data.address);
    this.data = data;
    this.hostname = data.hostname;
    this.locality = locality;
    this.priority = priority;
    this.weight = data.weight;
    if (data.metadata !== before?.metadata) this.takeMetadata(data.metadata);
    this.takeHealth(endpointHealthFlags(data), now);
    return true;
  }

  /** Slow start begins (again) with the first check that a host passes. */
  private takeHealth(flags: number, now: number): void {
    if ((this.healthFlags & ~flags & HealthFlag.failed_active_hc) !== 0) this.healthySince = now;
    this.healthFlags = flags;
  }

  private takeMetadata(metadata: EndpointData['metadata']): void {
    this.metadata = metadata === undefined ? NO_METADATA : metadataMap(metadata);
    this.canary = this.metadata.get('envoy.lb')?.['canary'] === true;
  }
}

/** Hosts whose metadata is one object share its map too. */
const METADATA_MAPS = new WeakMap<EndpointMetadata, MetadataMap>();

function metadataMap(metadata: EndpointMetadata): MetadataMap {
  let map = METADATA_MAPS.get(metadata);
  if (map === undefined) {
    map = new Map(Object.entries(metadata));
    METADATA_MAPS.set(metadata, map);
  }
  return map;
}

function parseAddress(text: string): Address {
  const address = Address.parse(text);
  if (address === undefined) throw new RangeError(`"${text}" is not an address`);
  return address;
}
