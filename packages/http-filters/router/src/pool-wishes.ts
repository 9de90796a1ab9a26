import type { Cluster, PoolWishes, RequestHeaders, StreamInfo } from '@dragoman/core';

/** What a request asks of the connection that carries it; undefined, without any work, where its cluster has no such thing. */
export function wishesOf(
  { info: { usesDownstreamProtocol, transportOptions } }: Cluster,
  headers: RequestHeaders,
  info: StreamInfo,
): PoolWishes | undefined {
  if (!usesDownstreamProtocol && transportOptions === undefined) return undefined;
  const transport = transportOptions?.(headers, info);
  const downstreamProtocol = usesDownstreamProtocol ? info.protocol : undefined;
  if (transport === undefined && downstreamProtocol === undefined) return undefined;
  return { transport, downstreamProtocol };
}
