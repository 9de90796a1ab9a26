import { existsSync, writeFileSync } from 'node:fs';
import { hostName, ROUTES_PER_HOST, routePrefix } from '../cases.ts';
import { asOurselves } from '../nginx-user.ts';
import { findCommand, type Workbench } from '../workbench.ts';
import type { Peer, Target } from './peer.ts';

/** Debian builds the stream module as a file of its own (package libnginx-mod-stream). */
const STREAM_MODULE = '/usr/lib/nginx/modules/ngx_stream_module.so';

export const nginx: Peer = {
  name: 'nginx',
  about: 'upstream keep-alive, access log to a file in batches of 64 KiB (as Dragoman writes its own)',
  onlyWhenNamed: false,
  scales: true,
  missing: (wanted) => {
    if (findCommand('nginx') === undefined) return 'not installed: apt-get install nginx';
    if (wanted.kind === 'tcp' && !existsSync(STREAM_MODULE))
      return 'no stream module: apt-get install libnginx-mod-stream';
    if (wanted.upstream === 'http2' && !wanted.grpc)
      return 'nginx speaks HTTP/2 to an upstream for gRPC only';
    return undefined;
  },
  start: async (bench, target) => {
    const file = bench.path('nginx.conf');
    writeFileSync(file, config(bench, target));
    return bench.start('nginx', target.cores, findCommand('nginx') as string, ['-c', file, '-e', 'stderr']);
  },
};

function config(bench: Workbench, target: Target): string {
  const tcp = target.case.kind === 'tcp';
  return `${asOurselves()}daemon off;
worker_processes ${target.workers};
worker_rlimit_nofile 20000;
pid ${bench.path('nginx.pid')};
error_log stderr crit;
${tcp ? `load_module ${STREAM_MODULE};` : ''}
events { worker_connections 8192; }
${tcp ? stream(target) : http(bench, target)}
`;
}

function stream(target: Target): string {
  return `stream {
  server {
    listen 127.0.0.1:${target.port};
    proxy_buffer_size 256k;
    proxy_pass 127.0.0.1:${target.upstreamPort};
  }
}`;
}

function http(bench: Workbench, target: Target): string {
  return `http {
  access_log ${bench.path('access.log')} combined buffer=64k flush=1s;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  server_names_hash_max_size 8192;
  server_names_hash_bucket_size 128;
  client_body_buffer_size 64k;
  client_body_temp_path ${bench.path('body')};
  proxy_temp_path ${bench.path('proxy')};
  fastcgi_temp_path ${bench.path('fastcgi')};
  uwsgi_temp_path ${bench.path('uwsgi')};
  scgi_temp_path ${bench.path('scgi')};
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_max_temp_file_size 0;
  proxy_buffer_size 16k;
  proxy_buffers 8 64k;
  proxy_busy_buffers_size 128k;
  upstream backend {
    server 127.0.0.1:${target.upstreamPort};
    keepalive 512;
    keepalive_requests 1000000000;
  }
${servers(target)}
}`;
}

function servers(target: Target): string {
  const address = `127.0.0.1:${target.port}`;
  // A socket for each worker, as Dragoman has: with one for all, most connections go to one of them. Said once an address.
  const first = `listen ${address}${target.workers > 1 ? ' reuseport' : ''}${target.case.downstream === 'http2' ? ' http2' : ''};`;
  const { virtualHosts } = target.case;
  const pass = target.case.grpc ? 'grpc_pass grpc://backend' : 'proxy_pass http://backend';
  if (virtualHosts === 0)
    return `  server { ${first} http2_max_concurrent_streams 1024; location / { ${pass}; } }`;
  const locations = Array.from(
    { length: ROUTES_PER_HOST },
    (_, index) => `location ${routePrefix(index)} { proxy_pass http://backend; }`,
  ).join(' ');
  return Array.from(
    { length: virtualHosts },
    (_, host) =>
      `  server { ${host === 0 ? first : `listen ${address};`} server_name ${hostName(host)}; ${locations} }`,
  ).join('\n');
}
