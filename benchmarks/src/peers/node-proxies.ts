import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Peer } from './peer.ts';

const require = createRequire(import.meta.url);

/** A proxy of ours around a library: `node src/proxies/<name>.ts PORT UPSTREAM_PORT`. */
function nodePeer(name: string, library: string, about: string): Peer {
  return {
    ...scriptPeer(name, about),
    onlyWhenNamed: false,
    missing: (wanted) => {
      if (wanted.kind === 'tcp') return 'it proxies HTTP only';
      if (wanted.downstream === 'http2' || wanted.upstream === 'http2') return 'it speaks HTTP/1.1 only';
      if (wanted.virtualHosts > 0) return 'it has no virtual hosts';
      try {
        require.resolve(library);
        return undefined;
      } catch {
        return `${library} is not installed: npm install`;
      }
    },
  };
}

function scriptPeer(name: string, about: string): Omit<Peer, 'missing' | 'onlyWhenNamed'> {
  return {
    name,
    about,
    scales: false,
    start: async (bench, { port, upstreamPort, cores }) =>
      bench.start(name, cores, process.execPath, [
        join(import.meta.dirname, '..', 'proxies', `${name}.ts`),
        String(port),
        String(upstreamPort),
      ]),
  };
}

export const nodeProxies: readonly Peer[] = [
  nodePeer('http-proxy', 'http-proxy', 'with a keep-alive agent; no access log, no stats'),
  nodePeer('fastify', '@fastify/http-proxy', '@fastify/http-proxy, its logger off; no access log, no stats'),
  nodePeer('node-undici', 'undici', 'node:http in front, undici behind; no access log, no stats'),
  {
    ...scriptPeer(
      'node-http2',
      'no proxy: a bare node:http2 server that answers, to tell what that layer costs',
    ),
    onlyWhenNamed: true,
    missing: (wanted) =>
      wanted.downstream === 'http2' && !wanted.grpc ? undefined : 'it answers small GETs of HTTP/2 only',
  },
];
