import type { Explanation } from './explanation.ts';

/** An explanation in one sentence. */
export function verdictOf(of: Omit<Explanation, 'verdict'>): string {
  const { listener, filterChain, http } = of;
  if (listener === undefined) return 'no listener takes the request: the client cannot connect';
  if (filterChain === undefined) return 'no filter chain fits: the connection is closed';
  if (http === undefined) return 'the bytes are not looked at as HTTP';
  const { refused, action, miss, route, virtualHost } = http;
  if (refused !== undefined) return `the connection manager answers ${refused.status} (${refused.details})`;
  if (action === undefined) return `404, response flag NR: ${miss}`;
  const by =
    route === undefined
      ? `require_tls of the virtual host "${virtualHost?.name}"`
      : route.name === ''
        ? route.path
        : `the route "${route.name}"`;
  switch (action.kind) {
    case 'redirect':
      return `${action.status} to ${action.location}, by ${by}`;
    case 'direct-response':
      return `${action.status} with a body of ${action.bodyBytes} bytes, by ${by}`;
    case 'forward': {
      const taken = action.clusters.find(({ name }) => name === action.cluster);
      if (taken?.hosts === undefined) return `no cluster "${action.cluster}" (response flag NC), by ${by}`;
      return `goes to the cluster "${action.cluster}", by ${by}`;
    }
  }
}
