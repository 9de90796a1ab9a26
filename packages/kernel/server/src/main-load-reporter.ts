import type { Bootstrap } from '@dragoman/api';
import { atPath, type WorkerContext } from '@dragoman/core';
import { createLoadReporter, type LoadReporter } from '@dragoman/load-reports';
import type { ClusterDirectory } from './cluster-directory.ts';
import type { MainClusters } from './main-clusters.ts';
import { nodeOf } from './dynamic/node.ts';
import type { Workers } from './workers/workers.ts';

/** What load reports are made of. */
export interface LoadReporterParts {
  readonly bootstrap: Bootstrap;
  /** Of the release, for the server that gets the reports. */
  readonly version: string;
  readonly logContext: WorkerContext;
  readonly clusters: ClusterDirectory;
  readonly workers: Workers;
  readonly mainClusters: MainClusters;
}

/** The reporter of `cluster_manager.load_stats_config`; undefined without it. @throws ConfigError with paths from the bootstrap's root */
export function mainLoadReporter(parts: LoadReporterParts): LoadReporter | undefined {
  const { bootstrap, version, logContext, clusters, workers, mainClusters } = parts;
  const config = bootstrap.clusterManager?.loadStatsConfig;
  if (config === undefined) return undefined;
  return atPath('cluster_manager.load_stats_config', () =>
    createLoadReporter({
      config,
      context: logContext,
      grpc: logContext.grpc,
      node: nodeOf(bootstrap, version, logContext),
      clusters: {
        get names() {
          return clusters.clusters.map(({ message }) => message.name);
        },
        has: (name) => clusters.get(name) !== undefined,
        serviceName: (name) => clusters.edsServiceName(name),
      },
      loads: {
        latch: (names, perEndpoint, take) => {
          take('main', mainClusters.latchLoads(names, perEndpoint));
          return workers.latchLoads(names, perEndpoint, (worker, loads) => take(`worker_${worker}`, loads));
        },
      },
    }),
  );
}
