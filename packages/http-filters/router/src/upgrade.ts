import {
  type Clock,
  type Cluster,
  type ForwardAction,
  type LocalReply,
  type RequestHeaders,
  type ResponseHeaders,
  type UpstreamFilterScene,
  type UpstreamHttpFilters,
  wellKnownId,
} from '@dragoman/core';
import { TunnelPools } from './tunnel.ts';

const ID_UPGRADE = wellKnownId('upgrade');
const ID_CONNECTION = wellKnownId('connection');
const SWITCHING_PROTOCOLS = 101;
const FIRST_ERROR = 400;

/** Headers of a refused handshake that frame a message which is not sent, or speak of the connection it came on. */
const NOT_COPIED: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);

/** What a try takes its connection from. */
export type Pools = Pick<Cluster, 'httpPool'>;

/** Pools whose streams go through filters. */
export function filtered(pools: Pools, filters: UpstreamHttpFilters, scene: UpstreamFilterScene): Pools {
  return {
    httpPool: (host, priority, wishes) => filters.through(pools.httpPool(host, priority, wishes), scene),
  };
}

/** The pools of a cluster; with `connect_config`, CONNECT (and POST where it is allowed) ends here and gets plain TCP. */
export function poolsFor(
  cluster: Cluster,
  action: ForwardAction,
  { method }: RequestHeaders,
  clock: Clock,
): Pools {
  const terminate = action.policies.upgrades?.terminate;
  if (terminate === undefined) return cluster;
  const ends = method === 'CONNECT' || (method === 'POST' && terminate.allowPost);
  return ends ? new TunnelPools(cluster, clock) : cluster;
}

/** Whether the request is a WebSocket handshake. Its times run at once, for it does not end before it is answered. */
export function isWebSocket(headers: RequestHeaders): boolean {
  if (!headers.hasKnown(ID_UPGRADE) || headers.method === 'CONNECT') return false;
  return headers.getKnown(ID_UPGRADE)?.toLowerCase() === 'websocket';
}

export function isSwitch({ status }: ResponseHeaders): boolean {
  return status === SWITCHING_PROTOCOLS;
}

/**
 * What becomes of an answer to a WebSocket handshake that is no 101. An error goes to the client as it is, but for the offer
 * to upgrade.
 * @returns the reply that takes the place of any other answer: its headers, and nothing of its body
 */
export function refusedHandshake(headers: ResponseHeaders): LocalReply | undefined {
  if (headers.status >= FIRST_ERROR) {
    headers.removeKnown(ID_UPGRADE);
    headers.removeKnown(ID_CONNECTION);
    return undefined;
  }
  return {
    status: headers.status,
    details: 'websocket_handshake_unsuccessful',
    modifyHeaders(reply) {
      const { names, values } = headers;
      for (let i = 0; i < names.length; i++) {
        const name = names[i] as string;
        if (!NOT_COPIED.has(name)) reply.append(name, values[i] as string);
      }
    },
  };
}
