import type { Explanation } from './explanation.ts';

/** An explanation in one sentence. */
export function verdictOf(of: Omit<Explanation, 'verdict'>): string {
  const { listener, filterChain, http } = of;
  if (listener === undefined) return 'no listener takes the request: the client cannot connect';
  if (filterChain === undefined) return 'no filter chain fits: the connection is closed';
  if (http === undefined) return 'the bytes are not looked at as HTTP';
  const { refused, action, miss, reply, route, virtualHost } = http;
  const mapped = reply?.mappedFrom === undefined ? '' : `, which local_reply_config makes ${reply.status}`;
  if (refused !== undefined)
    return `the connection manager answers ${refused.status} (${refused.details})${mapped}`;
  if (action === undefined) return `404, response flag NR${mapped}: ${miss}`;
  const by =
    route === undefined
      ? `require_tls of the virtual host "${virtualHost?.name}"`
      : route.name === ''
        ? route.path
        : `the route "${route.name}"`;
  switch (action.kind) {
    case 'redirect':
      return `${action.status} to ${action.location}, by ${by}${mapped}`;
    case 'direct-response':
      return `${action.status} with a body of ${action.bodyBytes} bytes, by ${by}${mapped}`;
    case 'forward': {
      const { cluster, clusters, chosen, notFoundStatus } = action;
      const taken = clusters[chosen];
      if (taken?.hosts === undefined)
        return `${notFoundStatus}, there is no cluster "${cluster}" (response flag NC), by ${by}${mapped}`;
      const share =
        clusters.length === 1
          ? ''
          : ` with this draw (${Number(taken.percent.toFixed(3))} % of the requests)`;
      // Offline nobody has looked for hosts.
      const hosts =
        taken.hosts.healthy !== undefined && taken.hosts.total === 0 ? ', which has no host now' : '';
      return `goes to the cluster "${cluster}"${share}, by ${by}${hosts}`;
    }
  }
}
