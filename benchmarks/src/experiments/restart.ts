import { get } from 'node:http';
import { CASES, type Case } from '../cases.ts';
import { ableTo, byTurns, type Experiment, type Session } from '../experiment.ts';
import { runWrk } from '../load/wrk.ts';
import { COMMAND, missingBundle, writeBootstrap } from '../peers/dragoman.ts';
import { figure, markdownTable, median } from '../report.ts';
import { startUpstream } from '../upstream.ts';
import { BOTH_CORES, type Child, freePort, untilAnswering, type Workbench } from '../workbench.ts';
import { hasLoad } from './load.ts';

const WORKERS = 2;
/** Of an epoch whose successor is live: how long clients are told to go. */
const DRAIN_S = 2;
/** How long an epoch is live before it is replaced. */
const PAUSE_MS = 1000;
const PATIENCE_MS = 10_000;

export const restart: Experiment = {
  name: 'restart',
  title: `Hot restarts of ${WORKERS} workers under load, one after the other`,
  onlyWhenNamed: true,
  run,
};

interface Traffic {
  readonly name: string;
  readonly case: Case;
}

const TRAFFIC: readonly Traffic[] = ['small-32', 'new-connection'].map((name) => {
  const found = CASES.find((wanted) => wanted.name === name) as Case;
  return { name: found.title, case: found };
});

export interface RestartSample {
  /** For each restart, ms from SIGHUP until the new epoch said that it is live. */
  readonly liveMs: readonly number[];
  readonly requests: number;
  readonly errors: number;
}

async function run(session: Session): Promise<void> {
  const { bench, options } = session;
  if (!hasLoad(session)) return;
  const able = ableTo(session, TRAFFIC, missingBundle);
  const samples = await byTurns(session, able, options.rounds ?? 1, (traffic) =>
    measureRestarts(bench, traffic.case, options.seconds),
  );
  session.say(`${restartTable(samples)}\n`);
}

async function measureRestarts(bench: Workbench, wanted: Case, seconds: number): Promise<RestartSample> {
  const upstream = await startUpstream(bench, wanted, BOTH_CORES);
  const [port, adminPort] = [await freePort(), await freePort()];
  const target = { case: wanted, port, upstreamPort: upstream.port, workers: WORKERS, cores: BOTH_CORES };
  const file = writeBootstrap(bench, target, adminPort);
  const flags = ['-c', file, '-l', 'error', '--concurrency', String(WORKERS)];
  const times = ['--drain-time-s', String(DRAIN_S), '--parent-shutdown-time-s', String(DRAIN_S + 1)];
  const args = ['--disable-sigusr1', COMMAND, 'supervise', '--', ...flags, ...times];
  const child = bench.start('dragoman', BOTH_CORES, process.execPath, args);
  try {
    await untilAnswering(port, child);
    await untilLive(adminPort, 0, child);
    // The last restart falls into the load's last second at the latest, so that it is under load to its end.
    const load = runWrk(bench, wanted, port, seconds + 1, BOTH_CORES);
    const until = performance.now() + seconds * 1000 - PAUSE_MS;
    const liveMs = await restarts(child, adminPort, until);
    const { requests, errors } = await load;
    return { liveMs, requests, errors };
  } finally {
    await child.stop();
    await upstream.child.stop();
  }
}

/** One restart after the other. */
async function restarts(child: Child, adminPort: number, until: number): Promise<readonly number[]> {
  const liveMs: number[] = [];
  do {
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    const start = performance.now();
    child.signal('SIGHUP');
    liveMs.push((await untilLive(adminPort, liveMs.length + 1, child)) - start);
  } while (performance.now() < until);
  return liveMs;
}

/** Asks the admin interface every few milliseconds. @returns `performance.now()` when the epoch was live */
async function untilLive(adminPort: number, epoch: number, child: Child): Promise<number> {
  const deadline = performance.now() + PATIENCE_MS;
  while (performance.now() < deadline) {
    if ((await liveEpoch(adminPort)) === epoch) return performance.now();
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  throw new Error(`epoch ${epoch} is not live after ${PATIENCE_MS / 1000} s: ${child.lastOutput()}`);
}

/** Undefined while there is nobody to ask, or nobody who serves. */
function liveEpoch(adminPort: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const request = get({ port: adminPort, host: '127.0.0.1', path: '/server_info', agent: false });
    request.once('error', () => resolve(undefined));
    request.once('response', (response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.once('error', () => resolve(undefined));
      response.once('end', () => resolve(epochOf(text)));
    });
  });
}

/** The epoch that says in `/server_info` that it is live. */
export function epochOf(serverInfo: string): number | undefined {
  const { state, command_line_options: options } = JSON.parse(serverInfo) as {
    state?: string;
    command_line_options?: { restart_epoch?: number };
  };
  return state === 'LIVE' ? (options?.restart_epoch ?? 0) : undefined;
}

export function restartTable(samples: ReadonlyMap<string, readonly RestartSample[]>): string {
  const rows = [...samples].map(([name, list]) => {
    const liveMs = list.flatMap((sample) => sample.liveMs);
    const sum = (field: (sample: RestartSample) => number) =>
      list.reduce((total, sample) => total + field(sample), 0);
    return [
      name,
      String(liveMs.length),
      figure(median(liveMs)),
      figure(Math.max(...liveMs)),
      sum(({ requests }) => requests).toLocaleString('en-US'),
      String(sum(({ errors }) => errors)),
    ];
  });
  const head = ['traffic', 'restarts', 'SIGHUP to live ms', 'at most ms', 'requests', 'failed'];
  return markdownTable([head, ...rows]);
}
