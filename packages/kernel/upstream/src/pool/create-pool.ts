import type { Protocol, TransportOptions } from '@dragoman/core';
import type { ProtocolChoice } from '../config/protocol-choice.ts';
import type { DrainablePool, UpstreamHost } from '../hosts/host.ts';
import { AutoPool } from './auto-pool.ts';
import { Http1Pool } from './http1-pool.ts';
import { Http2Pool } from './http2-pool.ts';
import type { PoolContext } from './pool-options.ts';

/** What the connections of one pool speak. */
export type PoolProtocol = Exclude<ProtocolChoice, 'downstream'>;

/** The ALPN that a pool offers where the transport socket names none of its own. */
const OFFERS: Readonly<Record<PoolProtocol, TransportOptions>> = {
  http1: { key: 'http1', applicationProtocolsFallback: ['http/1.1'] },
  http2: { key: 'http2', applicationProtocolsFallback: ['h2'] },
  auto: { key: 'auto', applicationProtocolsFallback: ['h2', 'http/1.1'] },
};

/** @param downstream the protocol of the request; undefined for one that has none */
export function protocolFor(choice: ProtocolChoice, downstream: Protocol | undefined): PoolProtocol {
  if (choice !== 'downstream') return choice;
  return downstream === 'HTTP/2' ? 'http2' : 'http1';
}

/** @param wishes of the streams that the pool is for */
export function createPool(
  protocol: PoolProtocol,
  host: UpstreamHost,
  context: PoolContext,
  wishes: TransportOptions | undefined,
): DrainablePool {
  const offer = OFFERS[protocol];
  const transport =
    wishes === undefined
      ? offer
      : { ...wishes, applicationProtocolsFallback: offer.applicationProtocolsFallback };
  if (protocol === 'http1') return new Http1Pool(host, context, transport);
  return protocol === 'http2'
    ? new Http2Pool(host, context, transport)
    : new AutoPool(host, context, transport);
}
