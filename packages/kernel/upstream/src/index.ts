export {
  type ClusterManagerOptions,
  createClusterManager,
  type WorkerClusterManager,
} from './cluster-manager.ts';
export type {
  ClusterLoad,
  EndpointLoad,
  LocalityLoad,
  MetricLoad,
  RequestCounts,
} from './loads/cluster-load.ts';
export { subClusterPlan } from './config/cluster-type.ts';
export { type ClusterSettings, readCluster } from './config/cluster-settings.ts';
export type { ClientCodecSettings, CreateClientCodec, Http2Codecs } from './pool/pool-options.ts';
export {
  type BreakerGauge,
  type BudgetGauges,
  type BudgetKey,
  BUDGETS,
  budgetIndex,
  type BudgetUse,
  type CreateBudget,
  createLocalBudget,
  type ResourceKind,
} from './resources.ts';
export { createUnseenBudget } from './unseen-budget.ts';
export { type Limit, RuntimeLimit } from './limits.ts';
export { clusterBreakerGauges } from './config/cluster-breakers.ts';
export { CLUSTER_COUNTERS, CLUSTER_GAUGES } from './stats/cluster-stats.ts';
export {
  type ClusterSink,
  type ClusterSources,
  type ClusterSourcesOptions,
  createClusterSources,
  type WarmingCluster,
} from './sources/cluster-sources.ts';
export type { OnHostEvent } from './outliers/host-monitors.ts';
export type { HealthDependencies } from './health/host-pipeline.ts';
export type { HostListMessage } from './sources/host-list-message.ts';
export { HostListPublisher } from './sources/host-list-publisher.ts';
export { HostListReceiver } from './sources/host-list-receiver.ts';
