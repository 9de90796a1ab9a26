import type { Cluster } from '@dragoman/api';
import type {
  Discovery,
  DiscoveryContext,
  DnsResolver,
  ExtensionRegistry,
  Gauge,
  HostEvent,
  HostListUpdate,
  Logger,
  MainContext,
  StatsLease,
} from '@dragoman/core';
import { findDiscovery } from '../config/cluster-type.ts';
import { type HealthDependencies, HostPipeline } from '../health/host-pipeline.ts';
import type { MergeStats } from '../health/update-merger.ts';
import { clusterResolver } from './dns-resolvers.ts';
import { Membership } from './membership.ts';

/** Who hears of a source's hosts. */
export interface SourceListener {
  onHosts(update: HostListUpdate): void;
  /** The first answer or failure has come: the cluster may be used. */
  onWarm(): void;
}

/** What all sources share. */
export interface SourceDependencies {
  readonly registry: ExtensionRegistry;
  readonly context: MainContext;
  readonly health: HealthDependencies | undefined;
  readonly mergeStats: MergeStats;
  readonly ejectionLog: string;
}

/** The discovery of one cluster, on main, and the checks of its hosts. */
export class ClusterSource {
  readonly message: Cluster;
  /** The hosts as last published. */
  last: HostListUpdate | undefined = undefined;
  private readonly lease: StatsLease;
  private readonly discovery: Discovery;
  private readonly ownResolver: DnsResolver | undefined;
  private readonly membership: Membership;
  private readonly pipeline: HostPipeline;
  private listener: SourceListener | undefined = undefined;
  private readonly warmingState: Gauge;
  private readonly logger: Logger;
  private active = false;
  private counted = false;
  private isWarm = false;
  private failing = false;

  /** @throws ConfigError with paths relative to the cluster */
  constructor(message: Cluster, { registry, context, health, mergeStats, ejectionLog }: SourceDependencies) {
    this.message = message;
    const statName = message.altStatName === '' ? message.name : message.altStatName;
    this.lease = context.stats.lease();
    const { stats } = this.lease;
    const clusterScope = stats.scope(`cluster.${statName}`);
    try {
      const extension = findDiscovery(message, registry);
      this.ownResolver = clusterResolver(message, registry, context);
      const scoped: DiscoveryContext = Object.assign(Object.create(context) as MainContext, {
        dns: this.ownResolver ?? context.dns,
        stats,
        clusterScope,
      });
      this.discovery = extension.create(message as never, scoped);
      this.membership = new Membership(clusterScope);
      this.warmingState = clusterScope.gauge('warming_state', 'never-import');
      this.logger = context.loggers.logger('upstream');
      this.pipeline = new HostPipeline({
        cluster: message,
        registry,
        context,
        clusterScope,
        health,
        mergeStats,
        ejectionLog,
        onHosts: (update) => this.onPipelineHosts(update),
      });
    } catch (error) {
      this.lease.release();
      throw error;
    }
  }

  /** Its hosts come from a config source. */
  get secondary(): boolean {
    return this.message.edsClusterConfig !== undefined;
  }

  /** False until the first answer or failure. */
  get warm(): boolean {
    return this.isWarm;
  }

  /** @param counted whether the cluster's stats are about these hosts; else {@link count} says when */
  start(listener: SourceListener, counted = true): void {
    this.active = true;
    this.counted = counted;
    this.listener = listener;
    this.warmingState.set(1);
    this.discovery.start({
      onHosts: (update) => {
        if (!this.active) return;
        this.failing = false;
        this.pipeline.update(update);
        this.pipeline.whenChecked(() => this.setWarm(listener));
      },
      onFailure: (reason) => {
        if (!this.active) return;
        // Only the first of a row is news; a name server that is down would fill the log.
        const text = `cluster ${this.message.name}: no new hosts: ${reason}`;
        if (this.failing) this.logger.debug(text);
        else this.logger.warn(text);
        this.failing = true;
        this.setWarm(listener);
      },
    });
  }

  /** A worker saw something of a host. */
  onEvent(identity: string, event: HostEvent): void {
    this.pipeline.onEvent(identity, event);
  }

  /** From now on the cluster's stats are about these hosts. */
  count(): void {
    this.counted = true;
    if (this.last !== undefined) this.membership.record(this.last);
  }

  stop(): void {
    if (this.active && !this.isWarm) this.warmingState.set(0);
    this.active = false;
    this.discovery.stop();
    this.pipeline.stop();
    this.ownResolver?.close();
    if (this.counted) this.membership.clear();
  }

  /** {@link stop}, and its stats are forgotten. */
  end(): void {
    this.stop();
    this.lease.release();
  }

  private onPipelineHosts(update: HostListUpdate): void {
    if (!this.active) return;
    this.last = update;
    if (this.counted) this.membership.record(update);
    this.listener?.onHosts(update);
  }

  private setWarm(listener: SourceListener): void {
    if (this.isWarm) return;
    this.isWarm = true;
    this.warmingState.set(0);
    listener.onWarm();
  }
}
