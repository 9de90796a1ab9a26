import type { ClusterInfo, ClusterManager, HttpStream } from '@dragoman/core';

/**
 * The cluster that a stream goes to: the one that the router has chosen or, while it has not, and when it never will (somebody
 * answers before it), the one of the route. Undefined when there is no such route or cluster. Of a weighted route the second is a
 * draw of its own.
 */
export function clusterOfStream(
  stream: HttpStream,
  clusters: ClusterManager,
  random: { next(): number },
): ClusterInfo | undefined {
  const chosen = stream.info.upstreamClusterInfo;
  if (chosen !== undefined) return chosen;
  const action = stream.route?.action;
  if (action?.kind !== 'forward') return undefined;
  return clusters.get(action.clusterName(stream.requestHeaders, random.next()))?.info;
}
