import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ableTo, byTurns, type Experiment, type Session } from '../experiment.ts';
import { COMMAND, missingBundle } from '../peers/dragoman.ts';
import { cpuSeconds, settledRss } from '../proc.ts';
import { figure, markdownTable, median } from '../report.ts';
import { freePort, LOAD_CORE, PROXY_CORE, untilServing, type Workbench } from '../workbench.ts';

const HOSTS = 5_000;
const INTERVAL_S = 5;
/** Addresses 127.0.0.1 … 127.0.0.250, 127.0.1.1 …: one server listens on all of them. */
const HOSTS_PER_NET = 250;

export const healthChecks: Experiment = {
  name: 'health-checks',
  title: `Active health checks of ${HOSTS.toLocaleString('en-US')} hosts every ${INTERVAL_S} s`,
  onlyWhenNamed: true,
  run,
};

interface Kind {
  readonly name: string;
  /** Undefined: hosts are not checked. */
  readonly check: object | undefined;
}

const KINDS: readonly Kind[] = [
  { name: 'none', check: undefined },
  { name: 'HTTP/1.1, connections reused', check: { http_health_check: { path: '/health' } } },
  {
    name: 'HTTP/1.1, a connection each',
    check: { http_health_check: { path: '/health' }, reuse_connection: false },
  },
  { name: 'TCP, connect only', check: { tcp_health_check: {}, reuse_connection: false } },
];

interface Sample {
  /** Share of one core, percent. */
  readonly cpuPercent: number;
  readonly rssBytes: number;
}

async function run(session: Session): Promise<void> {
  const able = ableTo(session, KINDS, missingBundle);
  const samples = await byTurns(session, able, session.options.rounds ?? 1, (kind) =>
    measure(session.bench, kind, session.options.seconds),
  );
  const rows = [...samples].map(([kind, list]) => [
    kind,
    figure(median(list.map(({ cpuPercent }) => cpuPercent))),
    figure(median(list.map(({ rssBytes }) => rssBytes)) / (1 << 20)),
  ]);
  session.say(`${markdownTable([['checks', '% of one core', 'RSS MiB'], ...rows])}\n`);
}

async function measure(bench: Workbench, { check }: Kind, seconds: number): Promise<Sample> {
  const [port, upstreamPort] = [await freePort(), await freePort()];
  const server = join(import.meta.dirname, '..', 'health-server.ts');
  const upstream = bench.start('health-server', LOAD_CORE, process.execPath, [server, String(upstreamPort)]);
  await untilServing(upstreamPort, upstream);
  const file = bench.path('bootstrap.json');
  writeFileSync(file, JSON.stringify(bootstrap(port, upstreamPort, check)));
  const args = ['--disable-sigusr1', COMMAND, '-c', file, '-l', 'error', '--concurrency', '1'];
  const child = bench.start('dragoman', PROXY_CORE, process.execPath, args);
  try {
    await untilServing(port, child);
    const rssBytes = await settledRss(child.pid);
    const [start, before] = [performance.now(), cpuSeconds(child.pid)];
    // Whole intervals, so that each host is checked as often.
    await delay(Math.max(1, Math.ceil(seconds / INTERVAL_S)) * INTERVAL_S * 1000);
    const cpu = cpuSeconds(child.pid) - before;
    return { cpuPercent: (cpu * 1e5) / (performance.now() - start), rssBytes };
  } finally {
    await child.stop();
    await upstream.stop();
  }
}

function bootstrap(port: number, upstreamPort: number, check: object | undefined): object {
  const at = (address: string, port_value: number) => ({ socket_address: { address, port_value } });
  const endpoints = Array.from({ length: HOSTS }, (_, i) => ({
    endpoint: {
      address: at(`127.0.${Math.floor(i / HOSTS_PER_NET)}.${1 + (i % HOSTS_PER_NET)}`, upstreamPort),
    },
  }));
  const times = {
    timeout: '2s',
    interval: `${INTERVAL_S}s`,
    no_traffic_interval: `${INTERVAL_S}s`,
    initial_jitter: `${INTERVAL_S}s`,
    unhealthy_threshold: 2,
    healthy_threshold: 1,
  };
  const cluster = {
    name: 'many',
    type: 'STATIC',
    load_assignment: { cluster_name: 'many', endpoints: [{ lb_endpoints: endpoints }] },
    health_checks: check === undefined ? [] : [{ ...times, ...check }],
  };
  const tcpProxy = {
    name: 'envoy.filters.network.tcp_proxy',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy',
      stat_prefix: 'tcp',
      cluster: 'many',
    },
  };
  const listener = { name: 'tcp', address: at('127.0.0.1', port), filter_chains: [{ filters: [tcpProxy] }] };
  return { static_resources: { listeners: [listener], clusters: [cluster] } };
}
