import type {
  CompileUpstreamFilters,
  Connector,
  FactoryContext,
  LoadShedPoint,
  MemberClusters,
} from '@dragoman/core';
import type { LocalZone } from './hosts/local-zone.ts';
import type { OnHostEvent } from './outliers/host-monitors.ts';
import type { CreateClientCodec, Http2Codecs } from './pool/pool-options.ts';
import type { CreateBudget } from './resources.ts';

/** What a cluster needs of its worker. */
export interface ClusterDependencies {
  readonly context: FactoryContext;
  readonly connector: Connector;
  readonly createCodec: CreateClientCodec;
  readonly http2: Http2Codecs | undefined;
  readonly upstreamFilters: CompileUpstreamFilters | undefined;
  readonly createBudget: CreateBudget;
  readonly newConnection: LoadShedPoint | undefined;
  readonly localZone: LocalZone;
  readonly clusters: MemberClusters;
  /** The hosts of a cluster have changed otherwise than by {@link UpstreamCluster.updateHosts}. */
  onOwnHosts(clusterName: string): void;
  /** Tells main what was seen of a host. */
  readonly onHostEvent: OnHostEvent;
}
