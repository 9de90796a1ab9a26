import httpProxy from '@fastify/http-proxy';
import fastify from 'fastify';

const [port, upstreamPort] = process.argv.slice(2).map(Number);
const server = fastify({ logger: false, keepAliveTimeout: 600_000 });
await server.register(httpProxy, {
  upstream: `http://127.0.0.1:${upstreamPort}`,
  undici: { connections: 512, pipelining: 1 },
});
await server.listen({ port: port as number, host: '127.0.0.1' });
