import type {
  ClusterInfo,
  FactoryContext,
  HostDescription,
  ResourceManager,
  RoutingPriority,
  RandomSource,
  Runtime,
  StatsScope,
} from '@dragoman/core';
import type { ClusterSettings } from './config/cluster-settings.ts';
import type { MetadataMap } from './hosts/host.ts';
import { type CreateBudget, Resources } from './resources.ts';
import { AlternativeStats } from './stats/alternative-stats.ts';
import { ClusterStats } from './stats/cluster-stats.ts';
import { ResponseStats } from './stats/response-stats.ts';
import { transportWishes } from './transport-wishes.ts';

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
  readonly secure: boolean;
  readonly usesDownstreamProtocol: boolean;
  readonly transportOptions: ClusterInfo['transportOptions'];
  readonly stats: ClusterStats;
  readonly statsScope: StatsScope;
  private readonly responses: ResponseStats;
  private readonly alternatives: AlternativeStats;
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
    this.secure = settings.transport.standard?.secure ?? false;
    this.usesDownstreamProtocol = settings.http.protocol === 'downstream';
    this.transportOptions = transportWishes(settings);
    this.statsScope = scope;
    this.stats = new ClusterStats(scope);
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

  resources(priority: RoutingPriority): ResourceManager {
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
