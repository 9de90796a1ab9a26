import { writeFileSync } from 'node:fs';
import { hostName, ROUTES_PER_HOST, routePrefix } from '../cases.ts';
import { findCommand, PROXY_CORE, type Workbench } from '../workbench.ts';
import type { Peer, Target } from './peer.ts';

export const haproxy: Peer = {
  name: 'haproxy',
  about:
    'nbthread 1, upstream keep-alive, each request logged to a file through stdout; virtual hosts by a map',
  missing: () =>
    findCommand('haproxy') === undefined ? 'not installed: apt-get install haproxy' : undefined,
  start: async (bench, target) => {
    const file = bench.path('haproxy.cfg');
    writeFileSync(file, config(bench, target));
    return bench.start('haproxy', PROXY_CORE, findCommand('haproxy') as string, ['-db', '-f', file]);
  },
};

function config(bench: Workbench, target: Target): string {
  const tcp = target.case.kind === 'tcp';
  return `global
  nbthread 1
  maxconn 3000
  maxpipes 64
  log stdout format raw local0 info
  tune.bufsize ${tcp ? 262144 : 65536}
defaults
  mode ${tcp ? 'tcp' : 'http'}
  log global
  option ${tcp ? 'tcplog' : 'httplog'}
  option dontlognull
${tcp ? '  option splice-auto' : '  http-reuse always'}
  timeout connect 1s
  timeout client 600s
  timeout server 60s
frontend bench
  bind 127.0.0.1:${target.port}
${frontend(bench, target)}
backend upstream
  server one 127.0.0.1:${target.upstreamPort}
`;
}

function frontend(bench: Workbench, target: Target): string {
  const { virtualHosts } = target.case;
  if (virtualHosts === 0) return '  default_backend upstream';
  const map = bench.path('routes.map');
  const lines: string[] = [];
  for (let host = 0; host < virtualHosts; host++) {
    for (let route = 0; route < ROUTES_PER_HOST; route++)
      lines.push(`${hostName(host)}${routePrefix(route)} upstream`);
  }
  writeFileSync(map, `${lines.join('\n')}\n`);
  return `  use_backend %[base,map_beg(${map})]`;
}
