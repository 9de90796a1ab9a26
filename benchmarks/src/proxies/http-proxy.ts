import { Agent, createServer } from 'node:http';
import httpProxy from 'http-proxy';

const [port, upstreamPort] = process.argv.slice(2).map(Number);
const agent = new Agent({ keepAlive: true, maxSockets: 512, maxFreeSockets: 512 });
const proxy = httpProxy.createProxyServer({ target: `http://127.0.0.1:${upstreamPort}`, agent });
proxy.on('error', (_error, _request, response) => {
  if (!response.headersSent) response.writeHead(502);
  response.end();
});
const server = createServer((request, response) => proxy.web(request, response));
server.keepAliveTimeout = 600_000;
server.listen(port, '127.0.0.1');
