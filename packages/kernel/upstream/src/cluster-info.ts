import {
  type ClusterInfo,
  type CompileUpstreamFilters,
  ConfigError,
  type Counter,
  type FactoryContext,
  type HostDescription,
  type RandomSource,
  type RoutingPriority,
  type Runtime,
  type StatsScope,
  type UpstreamHttpFilters,
} from '@dragoman/core';
import type { ClusterSettings } from './config/cluster-settings.ts';
import type { MetadataMap } from './hosts/host.ts';
import { type CreateBudget, Resources } from './resources.ts';
import { AlternativeStats } from './stats/alternative-stats.ts';
import { ClusterStats } from './stats/cluster-stats.ts';
import { ResponseStats } from './stats/response-stats.ts';
import { messageSizeStats, timeoutBudgetStats } from './stats/tracked-stats.ts';
import { transportWishes } from './transport-wishes.ts';

/** What a cluster's info is made with. */
export interface ClusterInfoNeeds {
  readonly createBudget: CreateBudget;
  readonly upstreamFilters: CompileUpstreamFilters | undefined;
}

const NEVER = { numerator: 0, denominator: 100 } as const;

/** A cluster as filters see it. */
export class UpstreamClusterInfo implements ClusterInfo {
  readonly name: string;
  readonly type: string | undefined;
  readonly subClusterTtlMs: number | undefined;
  readonly statName: string;
  readonly observabilityName: string;
  readonly connectTimeoutMs: number;
  readonly perConnectionBufferLimitBytes: number;
  readonly maxResponseHeadersBytes: number;
  readonly metadata: MetadataMap;
  readonly maxStreamDurationMs: number;
  readonly secure: boolean;
  readonly usesDownstreamProtocol: boolean;
  readonly transportOptions: ClusterInfo['transportOptions'];
  readonly httpFilters: UpstreamHttpFilters | undefined;
  readonly stats: ClusterStats;
  readonly requestsDropped: Counter;
  readonly timeoutBudgets: ClusterInfo['timeoutBudgets'];
  readonly messageSizes: ClusterInfo['messageSizes'];
  readonly statsScope: StatsScope;
  private readonly responses: ResponseStats;
  private readonly alternatives: AlternativeStats;
  private readonly defaultResources: Resources;
  private readonly highResources: Resources;
  private readonly maintenanceKey: string;
  private readonly runtime: Runtime;
  private readonly random: RandomSource;

  /** @throws ConfigError for filters that cannot be had */
  constructor(
    settings: ClusterSettings,
    context: FactoryContext,
    needs: ClusterInfoNeeds,
    requestsDropped: Counter,
  ) {
    const { createBudget, upstreamFilters } = needs;
    const { name, statName } = settings;
    const scope = context.stats.scope(`cluster.${statName}`);
    this.name = name;
    this.type = settings.type;
    this.subClusterTtlMs = settings.subClusterTtlMs;
    this.statName = statName;
    this.observabilityName = statName;
    this.connectTimeoutMs = settings.connectTimeoutMs;
    this.perConnectionBufferLimitBytes = settings.bufferLimitBytes;
    this.maxResponseHeadersBytes = settings.http.codec.maxHeaderBytes;
    this.metadata = settings.metadata;
    this.maxStreamDurationMs = settings.http.maxStreamDurationMs;
    this.secure = settings.transport.standard?.secure ?? false;
    // What its members do with it is theirs to know.
    this.usesDownstreamProtocol = settings.choosesMembers || settings.http.protocol === 'downstream';
    this.transportOptions = transportWishes(settings);
    this.statsScope = scope;
    this.stats = new ClusterStats(scope);
    this.requestsDropped = requestsDropped;
    this.timeoutBudgets = settings.tracked.timeoutBudgets ? timeoutBudgetStats(scope) : undefined;
    this.messageSizes = settings.tracked.messageSizes ? messageSizeStats(scope) : undefined;
    this.httpFilters = compileFilters(settings, scope, context.stats, upstreamFilters);
    const { zone } = context.localInfo;
    this.responses = new ResponseStats(scope, '', zone);
    this.alternatives = new AlternativeStats(scope, zone);
    const resources = (priority: RoutingPriority) =>
      new Resources(name, priority, settings.thresholds[priority], scope, createBudget, context.runtime);
    this.defaultResources = resources('default');
    this.highResources = resources('high');
    this.maintenanceKey = `upstream.maintenance_mode.${name}`;
    this.runtime = context.runtime;
    this.random = context.random;
  }

  resources(priority: RoutingPriority): Resources {
    return priority === 'default' ? this.defaultResources : this.highResources;
  }

  chargeResponse(
    status: number,
    internal: boolean,
    canary: boolean,
    host?: HostDescription,
    altStatName?: string,
  ): void {
    const zone = host === undefined ? '' : host.locality.zone;
    this.responses.charge(status, internal, canary, zone);
    if (altStatName !== undefined) this.alternatives.of(altStatName)?.charge(status, internal, canary, zone);
  }

  chargeResponseTime(
    ms: number,
    internal: boolean,
    canary: boolean,
    host?: HostDescription,
    altStatName?: string,
  ): void {
    const zone = host === undefined ? '' : host.locality.zone;
    this.responses.recordTime(ms, internal, canary, zone);
    if (altStatName !== undefined) this.alternatives.of(altStatName)?.recordTime(ms, internal, canary, zone);
  }

  chargeRetriedResponse(status: number): void {
    this.responses.chargeRetried(status);
  }

  get maintenanceMode(): boolean {
    // Drawing costs more than looking: most runtimes do not have the key.
    return (
      this.runtime.get(this.maintenanceKey) !== undefined &&
      this.runtime.featureEnabled(this.maintenanceKey, NEVER, this.random.next())
    );
  }
}

function compileFilters(
  { statName, http: { filters, filtersPath: field } }: ClusterSettings,
  scope: StatsScope,
  stats: StatsScope,
  compile: CompileUpstreamFilters | undefined,
): UpstreamHttpFilters | undefined {
  if (filters.length === 0) return undefined;
  if (compile === undefined) throw ConfigError.at(field, 'this assembly has no filters on the upstream side');
  return compile(filters, { statPrefix: `cluster.${statName}.`, field, scope, stats });
}
