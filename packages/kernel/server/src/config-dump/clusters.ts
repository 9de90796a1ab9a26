import {
  anyPack,
  ClientResourceStatus,
  ClusterSchema,
  ClustersConfigDumpSchema,
  create,
  type Message,
} from '@dragoman/api';
import type { KnownCluster } from '../cluster-directory.ts';
import { type DumpedParts, errorState, type Refusal, timestamp } from './parts.ts';

/** A cluster that was refused and has no version in place stands among those that warm, with nothing but its name and error. */
export function dumpClusters({ clusters, loadedAt, versions, server }: DumpedParts): Message {
  const failureOf = (name: string): Refusal | undefined =>
    server.refusal(ClusterSchema, name, clusters.failures.get(name));
  const state = ({ message, addedAt }: KnownCluster) => ({
    cluster: anyPack(ClusterSchema, message),
    lastUpdated: timestamp(addedAt ?? loadedAt),
  });
  const dynamicState = (cluster: KnownCluster) => {
    const failure = failureOf(cluster.message.name);
    return {
      ...state(cluster),
      versionInfo: cluster.version,
      ...errorState(failure),
      clientStatus: statusOf(cluster.version, failure),
    };
  };
  const there = new Set([...clusters.clusters, ...clusters.warming].map(({ message }) => message.name));
  const failed = new Set([
    ...Array.from(clusters.failures, ({ name }) => name),
    ...server.refused(ClusterSchema),
  ]);
  return create(ClustersConfigDumpSchema, {
    versionInfo: versions.clusters,
    staticClusters: clusters.clusters.filter(({ addedAt }) => addedAt === undefined).map(state),
    dynamicActiveClusters: clusters.clusters.filter(({ addedAt }) => addedAt !== undefined).map(dynamicState),
    dynamicWarmingClusters: [
      ...clusters.warming.map(dynamicState),
      ...[...failed]
        .filter((name) => !there.has(name))
        .map((name) => ({
          cluster: anyPack(ClusterSchema, create(ClusterSchema, { name })),
          ...errorState(named(failureOf(name), name)),
          clientStatus: ClientResourceStatus.NACKED,
        })),
    ],
  });
}

/** Of one that could not even be read at least the name is shown. */
function named(refusal: Refusal | undefined, name: string): Refusal | undefined {
  if (refusal === undefined) return undefined;
  return { ...refusal, message: refusal.message ?? create(ClusterSchema, { name }) };
}

/** One that no control plane has given has no status. */
export function statusOf(version: string, failure: Refusal | undefined): ClientResourceStatus {
  if (failure !== undefined) return ClientResourceStatus.NACKED;
  return version === '' ? ClientResourceStatus.UNKNOWN : ClientResourceStatus.ACKED;
}
