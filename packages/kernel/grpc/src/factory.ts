import {
  type ClusterManager,
  ConfigError,
  type FactoryContext,
  type GrpcClient,
  type GrpcClientFactory,
  type GrpcClientOptions,
  type GrpcTargetClusters,
  ownConnection,
  type RetryPolicy,
} from '@dragoman/core';
import { ServiceClient } from './client.ts';
import type { ClientCore } from './client-core.ts';
import { compileService } from './config.ts';
import { compileRetryPolicy } from './retry-policy.ts';

/** What a factory needs of its thread. */
export interface GrpcClientFactoryOwner {
  readonly context: FactoryContext;
  readonly clusters: ClusterManager;
  /** Absent: `google_grpc` is refused. */
  readonly targets?: GrpcTargetClusters | undefined;
}

/** The clients of one thread. */
export function createGrpcClientFactory(owner: GrpcClientFactoryOwner): GrpcClientFactory {
  return new ClientFactory(owner);
}

class ClientFactory implements GrpcClientFactory {
  private readonly owner: GrpcClientFactoryOwner;
  private readonly shared: Omit<ClientCore, 'settings'>;

  constructor(owner: GrpcClientFactoryOwner) {
    const { clock, random, runtime, loggers, stats, localInfo } = owner.context;
    const requests = stats.scope('http.async-client');
    this.owner = owner;
    this.shared = {
      clock,
      random,
      runtime,
      logger: loggers.logger('grpc'),
      clusters: owner.clusters,
      localAddress: localInfo.address,
      connection: ownConnection(localInfo.address, clock.wallTime()),
      rqTotal: requests.counter('rq_total'),
      rqResetAfterResponseStarted: requests.counter('rq_reset_after_downstream_response_started'),
    };
  }

  create(config: unknown, options: GrpcClientOptions = {}): GrpcClient {
    const { context, clusters, targets } = this.owner;
    const settings = compileService(config, context, targets, options);
    if (options.requireCluster === true && clusters.get(settings.clusterName) === undefined)
      throw ConfigError.at(
        'envoy_grpc.cluster_name',
        `unknown gRPC client cluster "${settings.clusterName}"`,
      );
    return new ServiceClient({ ...this.shared, settings });
  }

  compileRetryPolicy(config: unknown, defaultRetryOn = ''): RetryPolicy {
    return compileRetryPolicy(config, defaultRetryOn, this.owner.context);
  }
}
