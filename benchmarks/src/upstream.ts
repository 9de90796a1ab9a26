import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BULK_BYTES, type Case, LARGE_BYTES } from './cases.ts';
import { asOurselves } from './nginx-user.ts';
import {
  type Child,
  type Cores,
  findCommand,
  freePort,
  LOAD_CORE,
  untilServing,
  type Workbench,
} from './workbench.ts';

export interface Upstream {
  readonly child: Child;
  readonly port: number;
  readonly what: 'nginx' | 'node';
}

/**
 * Starts what a case's proxy forwards to, where the load is. nginx if there is one, because it takes the least of that
 * core: a canned answer, and files by sendfile. Echoing is for our own server, in any case.
 */
export async function startUpstream(
  bench: Workbench,
  wanted: Case,
  cores: Cores = LOAD_CORE,
): Promise<Upstream> {
  const port = await freePort();
  const nginx = wanted.method === 'POST' && !wanted.grpc ? undefined : findCommand('nginx');
  const child =
    nginx === undefined
      ? bench.start('upstream', cores, process.execPath, [
          join(import.meta.dirname, 'upstream-server.ts'),
          String(port),
        ])
      : bench.start('upstream', cores, nginx, ['-c', nginxConfig(bench, port, wanted), '-e', 'stderr']);
  await untilServing(port, child);
  return { child, port, what: nginx === undefined ? 'node' : 'nginx' };
}

/** Of gRPC: one message, with the length before it. */
function message(bytes: number): Buffer {
  const frame = Buffer.alloc(5 + bytes, 'x');
  frame[0] = 0;
  frame.writeUInt32BE(bytes, 1);
  return frame;
}

/** Files behind a trailer: nginx says it for POST as well once a 405 is told to be a 200. */
function grpcLocations(root: string): string {
  mkdirSync(join(root, 'bench.Echo'));
  writeFileSync(join(root, 'bench.Echo', 'Unary'), message(64));
  writeFileSync(
    join(root, 'bench.Echo', 'Stream'),
    Buffer.concat(Array.from({ length: 64 }, () => message(16 * 1024))),
  );
  return `location /bench.Echo/ {
      root ${root};
      types {}
      default_type application/grpc;
      add_trailer grpc-status 0 always;
      error_page 405 =200 $uri;
    }`;
}

function nginxConfig(bench: Workbench, port: number, wanted: Case): string {
  const root = bench.path('files');
  mkdirSync(root);
  writeFileSync(join(root, 'large'), Buffer.alloc(LARGE_BYTES, 'x'));
  writeFileSync(join(root, 'bulk'), Buffer.alloc(BULK_BYTES, 'x'));
  const file = bench.path('upstream.conf');
  writeFileSync(
    file,
    `${asOurselves()}daemon off;
worker_processes 1;
pid ${bench.path('upstream.pid')};
error_log stderr crit;
events { worker_connections 8192; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  default_type text/plain;
  keepalive_requests 1000000000;
  client_body_temp_path ${bench.path('body')};
  proxy_temp_path ${bench.path('proxy')};
  fastcgi_temp_path ${bench.path('fastcgi')};
  uwsgi_temp_path ${bench.path('uwsgi')};
  scgi_temp_path ${bench.path('scgi')};
  server {
    listen 127.0.0.1:${port}${wanted.upstream === 'http2' ? ' http2' : ''};
    http2_max_concurrent_streams 1024;
    ${wanted.grpc ? grpcLocations(root) : ''}
    location / { return 200 "Hello, world!"; }
    location = /large { root ${root}; }
    location = /bulk { root ${root}; sendfile_max_chunk 1m; }
  }
}
`,
  );
  return file;
}
