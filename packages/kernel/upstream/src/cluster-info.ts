import type {
  ClusterInfo,
  FactoryContext,
  ResourceManager,
  RoutingPriority,
  RandomSource,
  Runtime,
  StatsScope,
} from '@dragoman/core';
import type { ClusterSettings } from './config/cluster-settings.ts';
import type { MetadataMap } from './hosts/host.ts';
import { type CreateBudget, Resources } from './resources.ts';
import { ClusterStats } from './stats/cluster-stats.ts';
import { ResponseStats } from './stats/response-stats.ts';

const NEVER = { numerator: 0, denominator: 100 } as const;

/** A cluster as filters see it. */
export class UpstreamClusterInfo implements ClusterInfo {
  readonly name: string;
  readonly statName: string;
  readonly observabilityName: string;
  readonly connectTimeoutMs: number;
  readonly perConnectionBufferLimitBytes: number;
  readonly maxResponseHeadersBytes: number;
  readonly metadata: MetadataMap;
  readonly maxStreamDurationMs: number;
  readonly stats: ClusterStats;
  readonly statsScope: StatsScope;
  private readonly responses: ResponseStats;
  private readonly defaultResources: ResourceManager;
  private readonly highResources: ResourceManager;
  private readonly maintenanceKey: string;
  private readonly runtime: Runtime;
  private readonly random: RandomSource;

  constructor(settings: ClusterSettings, context: FactoryContext, createBudget: CreateBudget) {
    const { name, statName } = settings;
    const scope = context.stats.scope(`cluster.${statName}`);
    this.name = name;
    this.statName = statName;
    this.observabilityName = statName;
    this.connectTimeoutMs = settings.connectTimeoutMs;
    this.perConnectionBufferLimitBytes = settings.bufferLimitBytes;
    this.maxResponseHeadersBytes = settings.http.codec.maxHeaderBytes;
    this.metadata = settings.metadata;
    this.maxStreamDurationMs = settings.http.maxStreamDurationMs;
    this.statsScope = scope;
    this.stats = new ClusterStats(scope);
    this.responses = new ResponseStats(scope);
    this.defaultResources = new Resources(name, 'default', settings.thresholds.default, scope, createBudget);
    this.highResources = new Resources(name, 'high', settings.thresholds.high, scope, createBudget);
    this.maintenanceKey = `upstream.maintenance_mode.${name}`;
    this.runtime = context.runtime;
    this.random = context.random;
  }

  resources(priority: RoutingPriority): ResourceManager {
    return priority === 'default' ? this.defaultResources : this.highResources;
  }

  chargeResponse(status: number, internal: boolean, canary: boolean): void {
    this.responses.charge(status, internal, canary);
  }

  chargeResponseTime(ms: number, internal: boolean, canary: boolean): void {
    this.responses.recordTime(ms, internal, canary);
  }

  get maintenanceMode(): boolean {
    // Drawing costs more than looking: most runtimes do not have the key.
    return (
      this.runtime.get(this.maintenanceKey) !== undefined &&
      this.runtime.featureEnabled(this.maintenanceKey, NEVER, this.random.next())
    );
  }
}
