export {
  type ClusterManagerOptions,
  createClusterManager,
  type WorkerClusterManager,
} from './cluster-manager.ts';
export { type ClusterSettings, readCluster } from './config/cluster-settings.ts';
export type { ClientCodecSettings, CreateClientCodec } from './pool/pool-options.ts';
export {
  type BudgetGauges,
  type BudgetKey,
  type CreateBudget,
  createLocalBudget,
  type ResourceKind,
} from './resources.ts';
export { CLUSTER_COUNTERS, CLUSTER_GAUGES } from './stats/cluster-stats.ts';
export {
  type ClusterSink,
  type ClusterSources,
  type ClusterSourcesOptions,
  createClusterSources,
} from './sources/cluster-sources.ts';
