import { writeFileSync } from 'node:fs';
import { type Case, hostName, ROUTES_PER_HOST, routePrefix } from '../cases.ts';
import { findCommand, type Workbench } from '../workbench.ts';
import type { Peer, Target } from './peer.ts';

function haproxyPeer(name: string, about: string, tuned: boolean): Peer {
  return {
    name,
    about,
    onlyWhenNamed: false,
    scales: true,
    missing: (wanted) => {
      if (findCommand('haproxy') === undefined) return 'not installed: apt-get install haproxy';
      if (tuned && !isBulk(wanted)) return 'it differs from haproxy only where bulk bytes flow';
      return undefined;
    },
    start: async (bench, target) => {
      const file = bench.path('haproxy.cfg');
      writeFileSync(file, config(bench, target, tuned));
      return bench.start(name, target.cores, findCommand('haproxy') as string, ['-db', '-f', file]);
    },
  };
}

function isBulk(wanted: Case): boolean {
  return wanted.kind === 'tcp' || wanted.path === '/large';
}

/** As it comes, and set up for bulk bytes by somebody who knows it. */
export const haproxies: readonly Peer[] = [
  haproxyPeer(
    'haproxy',
    'one thread a worker, upstream keep-alive, each request logged to a file through stdout; virtual hosts by a map',
    false,
  ),
  haproxyPeer('haproxy-tuned', 'the same with buffers of 256 KiB and splice-auto: bulk cases only', true),
];

function config(bench: Workbench, target: Target, tuned: boolean): string {
  const tcp = target.case.kind === 'tcp';
  return `global
  nbthread ${target.workers}
  maxconn 3000
  maxpipes 64
  log stdout format raw local0 info
${tuned ? '  tune.bufsize 262144' : ''}
defaults
  mode ${tcp ? 'tcp' : 'http'}
  log global
  option ${tcp ? 'tcplog' : 'httplog'}
  option dontlognull
${tcp ? '' : '  http-reuse always'}
${tuned ? '  option splice-auto' : ''}
  timeout connect 1s
  timeout client 600s
  timeout server 60s
frontend bench
  bind 127.0.0.1:${target.port}${target.case.downstream === 'http2' ? ' proto h2' : ''}
${frontend(bench, target)}
backend upstream
  server one 127.0.0.1:${target.upstreamPort}${target.case.upstream === 'http2' ? ' proto h2' : ''}
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
