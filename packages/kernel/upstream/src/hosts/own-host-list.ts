import type {
  Counter,
  EndpointData,
  Gauge,
  Host,
  HostSet,
  Locality,
  OwnHosts,
  StatsScope,
} from '@dragoman/core';
import { UpstreamHost } from './host.ts';

/** Whose hosts they are, and who hears of them. */
export interface OwnHostScene {
  readonly clusterName: string;
  /** `cluster.<name>` */
  readonly stats: StatsScope;
  readonly owner: UpstreamHost['owner'];
  now(): number;
  /** A host is new, or has changed. */
  onListed(host: UpstreamHost): void;
  /** It is not in the list any more. */
  onRemoved(host: UpstreamHost): void;
}

const NOWHERE: Locality = { region: '', zone: '', subZone: '' };

/** The hosts that the balancer of one cluster makes on this worker. */
export class OwnHostList implements OwnHosts {
  /** In the order in which they came. */
  readonly hosts: ReadonlySet<UpstreamHost>;
  private readonly listed = new Set<UpstreamHost>();
  private readonly scene: OwnHostScene;
  private readonly change: Counter;
  private readonly total: Gauge;
  private readonly healthy: Gauge;
  /** Of {@link addTo}: what it made of what. */
  private base: readonly HostSet[] | undefined = undefined;
  private joined: readonly HostSet[] = [];

  constructor(scene: OwnHostScene) {
    this.scene = scene;
    this.hosts = this.listed;
    this.change = scene.stats.counter('membership_change');
    this.total = scene.stats.gauge('membership_total', 'never-import');
    this.healthy = scene.stats.gauge('membership_healthy', 'never-import');
  }

  add(endpoint: EndpointData): Host {
    const { clusterName, owner } = this.scene;
    const now = this.scene.now();
    const host = new UpstreamHost(clusterName, endpoint.address, now);
    host.owner = owner;
    host.update(endpoint, NOWHERE, 0, now);
    this.listed.add(host);
    this.count(1);
    this.base = undefined;
    this.scene.onListed(host);
    return host;
  }

  update(host: Host, endpoint: EndpointData): void {
    const own = host as UpstreamHost;
    if (!this.listed.has(own)) return;
    own.update(endpoint, NOWHERE, 0, this.scene.now());
    this.base = undefined;
    this.scene.onListed(own);
  }

  remove(host: Host): void {
    const own = host as UpstreamHost;
    if (!this.listed.delete(own)) return;
    this.count(-1);
    this.base = undefined;
    this.scene.onRemoved(own);
  }

  /** Takes all of them out without a word to anybody. */
  clear(): void {
    if (this.listed.size > 0) this.count(-this.listed.size);
    this.listed.clear();
    this.base = undefined;
  }

  /** `sets` with these hosts at the end of the first. Made anew only after a change of either. */
  addTo(sets: readonly HostSet[]): readonly HostSet[] {
    if (this.listed.size === 0) return sets;
    if (this.base !== sets) {
      this.base = sets;
      const [first, ...others] = sets;
      this.joined = [withHosts(first, [...this.listed]), ...others];
    }
    return this.joined;
  }

  private count(added: number): void {
    this.change.inc();
    this.total.add(added);
    this.healthy.add(added);
  }
}

/** Nobody checks them: they are all healthy. */
function withHosts(set: HostSet, own: readonly Host[]): HostSet {
  return {
    ...set,
    hosts: [...set.hosts, ...own],
    healthyHosts: [...set.healthyHosts, ...own],
    localities: [...set.localities, NOWHERE],
    hostsByLocality: [...set.hostsByLocality, own],
    healthyHostsByLocality: [...set.healthyHostsByLocality, own],
    degradedHostsByLocality: [...set.degradedHostsByLocality, []],
    localityWeights: set.localityWeights && [...set.localityWeights, 0],
    excludedByLocality: [...set.excludedByLocality, 0],
  };
}
