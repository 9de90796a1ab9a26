import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CASES, type Case } from '../cases.ts';
import { byTurns, type Experiment, type Session } from '../experiment.ts';
import { GIVEN } from '../hosts/arrival.ts';
import type { Change } from '../hosts/lists.ts';
import type { Said, Told } from '../hosts/proxy.ts';
import type { PacedResult } from '../load/paced-client.ts';
import { bootstrap } from '../peers/dragoman-bootstrap.ts';
import { errorCount, figure, markdownTable, median, withSpread } from '../report.ts';
import { startUpstream, type Upstream } from '../upstream.ts';
import { BOTH_CORES, type Child, freePort, untilAnswering, type Workbench } from '../workbench.ts';

const HOSTS = 10_000;
const WORKERS = 2;
const EVERY_MS = 500;
/** Of one round of each kind of traffic. */
const ROUNDS = 5;
const CONNECTIONS = 64;
const RATE = 2000;
const SOURCES = join(import.meta.dirname, '..');

export const hostUpdates: Experiment = {
  name: 'host-updates',
  title: `${HOSTS.toLocaleString('en-US')} hosts, changed twice a second on ${WORKERS} workers, under ${RATE.toLocaleString('en-US')} requests/s`,
  onlyWhenNamed: true,
  run,
};

/** What happens while the load runs. */
interface Phase {
  readonly name: string;
  readonly change: Change | undefined;
}

const PHASES: readonly Phase[] = [
  { name: 'none (quiet)', change: undefined },
  { name: '10 hosts replaced', change: 'ten' },
  { name: 'all hosts replaced', change: 'all' },
];

export interface HostSample extends PacedResult {
  /** For each update, ms until the first and until the last worker had it. */
  readonly first: readonly number[];
  readonly last: readonly number[];
}

async function run(session: Session): Promise<void> {
  const { bench, options } = session;
  const upstream = await startUpstream(bench, CASES[0] as Case, BOTH_CORES);
  const port = await freePort();
  const proxy = await startProxy(bench, port, upstream);
  try {
    await untilAnswering(port, proxy);
    const measure = (change: Change | undefined, seconds: number) =>
      measurePhase(bench, proxy, port, change, seconds);
    for (const { change } of PHASES) if (options.warmup > 0) await measure(change, options.warmup);
    const samples = await byTurns(session, PHASES, options.rounds ?? ROUNDS, ({ change }) =>
      measure(change, options.seconds),
    );
    session.say(`${hostTable(samples)}\n`);
  } finally {
    await proxy.stop();
    await upstream.child.stop();
  }
}

async function startProxy(bench: Workbench, port: number, upstream: Upstream): Promise<Child> {
  const target = {
    case: CASES[0] as Case,
    port,
    upstreamPort: upstream.port,
    workers: WORKERS,
    cores: BOTH_CORES,
  };
  const config = bootstrap(bench, target, await freePort(), { cluster_type: { name: GIVEN } });
  const file = bench.path('bootstrap.json');
  writeFileSync(file, JSON.stringify(config));
  const args = [join(SOURCES, 'hosts/proxy.ts'), file, upstream.port, WORKERS, HOSTS].map(String);
  return bench.start('hosts', BOTH_CORES, process.execPath, args, true);
}

async function measurePhase(
  bench: Workbench,
  proxy: Child,
  port: number,
  change: Change | undefined,
  seconds: number,
): Promise<HostSample> {
  const times: (readonly number[])[] = [];
  const onMessage = (message: unknown) => {
    const said = message as Said;
    if (said.kind === 'arrived' && said.change === change) times.push(said.ms);
  };
  proxy.channel.on('message', onMessage);
  const tell = (told: Told) => proxy.channel.send(told);
  try {
    tell(change === undefined ? { change } : { change, everyMs: EVERY_MS });
    const client = join(SOURCES, 'load/paced-client.ts');
    const args = [client, port, CONNECTIONS, RATE, seconds].map(String);
    const result = JSON.parse(await bench.run(BOTH_CORES, process.execPath, args)) as PacedResult;
    if (change !== undefined && times.length === 0)
      throw new Error(`no worker has had a new list: ${proxy.lastOutput()}`);
    return {
      ...result,
      first: times.map((ms) => Math.min(...ms)),
      last: times.map((ms) => Math.max(...ms)),
    };
  } finally {
    tell({ change: undefined });
    proxy.channel.off('message', onMessage);
  }
}

export function hostTable(samples: ReadonlyMap<string, readonly HostSample[]>): string {
  const rows = [...samples].map(([name, list]) => {
    const of = (field: (sample: HostSample) => number) => list.map(field);
    const last = list.flatMap((sample) => sample.last);
    return [
      name,
      String(last.length),
      figure(median(list.flatMap((sample) => sample.first))),
      figure(median(last)),
      last.length === 0 ? '-' : figure(Math.max(...last)),
      withSpread(of((sample) => sample.p50)),
      withSpread(of((sample) => sample.p99)),
      withSpread(of((sample) => sample.p999)),
      String(errorCount(list)),
    ];
  });
  const head = [
    'updates',
    'count',
    'first worker ms',
    'all workers ms',
    'at most ms',
    'p50 ms',
    'p99 ms',
    'p99.9 ms',
    'errors',
  ];
  return markdownTable([head, ...rows]);
}
