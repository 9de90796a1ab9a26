import { writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import type { Experiment } from './experiment.ts';
import { healthChecks } from './experiments/health-checks.ts';
import { hostUpdates } from './experiments/hosts.ts';
import { idle } from './experiments/idle.ts';
import { inThread } from './experiments/in-thread.ts';
import { loads } from './experiments/load.ts';
import { resilience } from './experiments/resilience.ts';
import { restart } from './experiments/restart.ts';
import { scaling } from './experiments/scaling.ts';
import { startUp } from './experiments/start-up.ts';
import { xdsUpdates } from './experiments/xds.ts';
import { HELP, type Options, parseOptions } from './options.ts';
import { dragoman, dragomanInThread } from './peers/dragoman.ts';
import { haproxies } from './peers/haproxy.ts';
import { nginx } from './peers/nginx.ts';
import { nodeProxies } from './peers/node-proxies.ts';
import type { Peer } from './peers/peer.ts';
import { Workbench } from './workbench.ts';

const PEERS: readonly Peer[] = [dragoman, dragomanInThread, nginx, ...haproxies, ...nodeProxies];
const EXPERIMENTS: readonly Experiment[] = [
  ...loads,
  idle,
  startUp,
  scaling,
  inThread,
  hostUpdates,
  xdsUpdates,
  restart,
  resilience,
  healthChecks,
];

interface Result {
  readonly case: string;
  /** Who, or what, was measured. */
  readonly peer: string;
  readonly samples: readonly unknown[];
}

function say(text = ''): void {
  process.stdout.write(`${text}\n`);
}

/** Those that are named; without names all that need not be. */
function chosen<T extends { readonly name: string; readonly onlyWhenNamed: boolean }>(
  all: readonly T[],
  names: readonly string[],
): readonly T[] {
  return all.filter(({ name, onlyWhenNamed }) =>
    names.length === 0 ? !onlyWhenNamed : names.includes(name),
  );
}

async function run(bench: Workbench, options: Options): Promise<readonly Result[]> {
  const results: Result[] = [];
  const peers = chosen(PEERS, options.peers);
  for (const experiment of chosen(EXPERIMENTS, options.cases)) {
    say(`## ${experiment.title}\n`);
    await experiment.run({
      bench,
      options,
      peers,
      say,
      keep: (peer, samples) => results.push({ case: experiment.name, peer, samples }),
    });
  }
  return results;
}

function listed(
  all: readonly { readonly name: string; readonly onlyWhenNamed: boolean }[],
  text: (index: number) => string,
): string {
  return all
    .map(
      ({ name, onlyWhenNamed }, i) => `\n  ${name}: ${text(i)}${onlyWhenNamed ? ' (only when named)' : ''}`,
    )
    .join('');
}

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2), {
    cases: EXPERIMENTS.map(({ name }) => name),
    peers: PEERS.map(({ name }) => name),
  });
  if (options.help) {
    say(HELP);
    say(`cases: ${listed(EXPERIMENTS, (i) => (EXPERIMENTS[i] as Experiment).title)}`);
    say(`peers: ${listed(PEERS, (i) => (PEERS[i] as Peer).about)}`);
    return;
  }
  const bench = new Workbench();
  let interrupted = false;
  const onSignal = () => {
    if (interrupted) process.exit(130);
    interrupted = true;
    void bench.close().then(() => process.exit(130));
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  try {
    say(
      `${cpus()[0]?.model ?? 'unknown CPU'}, ${cpus().length} cores, Linux ${release()}, Node ${process.version}; ` +
        `${options.rounds === undefined ? '' : `${options.rounds} × `}${options.seconds} s after ${options.warmup} s; ` +
        (bench.pinned
          ? 'where nothing else is said, proxy on core 0, load and upstream on core 1'
          : 'NOT PINNED: one core, or no taskset'),
    );
    say();
    const results = await run(bench, options);
    if (options.json !== undefined) {
      const machine = {
        cpu: cpus()[0]?.model,
        cores: cpus().length,
        kernel: release(),
        node: process.version,
      };
      writeFileSync(options.json, `${JSON.stringify({ machine, options, results }, undefined, 2)}\n`);
    }
  } finally {
    await bench.close();
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
