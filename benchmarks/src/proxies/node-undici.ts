import { createServer } from 'node:http';
import { Pool } from 'undici';

/** Headers that are of one hop only (RFC 9110 section 7.6.1). */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'te',
  'transfer-encoding',
  'upgrade',
  'proxy-connection',
]);

const [port, upstreamPort] = process.argv.slice(2).map(Number);
const pool = new Pool(`http://127.0.0.1:${upstreamPort}`, { connections: 512, pipelining: 1 });

function endToEnd(headers: Record<string, string | string[] | undefined>): Record<string, string | string[]> {
  const kept: Record<string, string | string[]> = {};
  for (const name in headers) {
    const value = headers[name];
    if (value !== undefined && !HOP_BY_HOP.has(name)) kept[name] = value;
  }
  return kept;
}

const server = createServer((request, response) => {
  const method = request.method as 'GET' | 'POST';
  pool
    .stream(
      {
        path: request.url as string,
        method,
        headers: endToEnd(request.headers),
        body: method === 'GET' ? null : request,
        opaque: response,
      },
      ({ statusCode, headers }) => response.writeHead(statusCode, endToEnd(headers)),
    )
    .catch(() => {
      if (!response.headersSent) response.writeHead(502);
      response.end();
    });
});
server.keepAliveTimeout = 600_000;
server.listen(port, '127.0.0.1');
