import { writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { CASES } from './cases.ts';
import { type IdleSample, measureIdle } from './idle.ts';
import { measure, type Sample } from './measure.ts';
import { HELP, type Options, parseOptions } from './options.ts';
import { dragoman } from './peers/dragoman.ts';
import { haproxies } from './peers/haproxy.ts';
import { nginx } from './peers/nginx.ts';
import { nodeProxies } from './peers/node-proxies.ts';
import type { Peer } from './peers/peer.ts';
import { caseTable, idleTable } from './report.ts';
import { findCommand, Workbench } from './workbench.ts';

const PEERS: readonly Peer[] = [dragoman, nginx, ...haproxies, ...nodeProxies];
/** Not load but what a proxy costs without any. */
const IDLE = 'idle';

interface Result {
  readonly case: string;
  readonly peer: string;
  readonly samples: readonly (Sample | IdleSample)[];
}

function say(text = ''): void {
  process.stdout.write(`${text}\n`);
}

function chosen<T extends { readonly name: string }>(
  all: readonly T[],
  names: readonly string[],
): readonly T[] {
  return names.length === 0 ? all : all.filter(({ name }) => names.includes(name));
}

/** One measurement of each peer by turns, `rounds` times. A peer that fails is reported and left out. */
async function byTurns<S>(
  peers: readonly Peer[],
  rounds: number,
  what: string,
  once: (peer: Peer) => Promise<S>,
): Promise<ReadonlyMap<string, readonly S[]>> {
  const samples = new Map<string, S[]>();
  const failed = new Set<string>();
  for (let round = 0; round < rounds; round++) {
    for (const peer of peers) {
      if (failed.has(peer.name)) continue;
      try {
        const list = samples.get(peer.name) ?? [];
        list.push(await once(peer));
        samples.set(peer.name, list);
      } catch (error) {
        failed.add(peer.name);
        samples.delete(peer.name);
        process.exitCode = 1;
        say(`${what}: ${peer.name} failed: ${(error as Error).message}`);
      }
    }
  }
  return samples;
}

async function run(bench: Workbench, options: Options): Promise<readonly Result[]> {
  const results: Result[] = [];
  const keep = (name: string, samples: ReadonlyMap<string, readonly (Sample | IdleSample)[]>) => {
    for (const [peer, list] of samples) results.push({ case: name, peer, samples: list });
  };
  const peers = chosen(PEERS, options.peers);
  for (const wanted of chosen(CASES, options.cases)) {
    say(`## ${wanted.title}`);
    say();
    if (wanted.kind === 'http' && findCommand('wrk') === undefined) {
      say('skipped: wrk is not installed: apt-get install wrk\n');
      continue;
    }
    const able = ableTo(peers, (peer) => peer.missing(wanted));
    const samples = await byTurns(able, options.rounds, wanted.name, (peer) =>
      measure(bench, peer, wanted, options),
    );
    say(`${caseTable(wanted, samples)}\n`);
    keep(wanted.name, samples);
  }
  if (options.cases.length === 0 || options.cases.includes(IDLE)) {
    say('## Idle\n');
    const able = ableTo(peers, (peer) => peer.missing(CASES[0] as (typeof CASES)[number]));
    const samples = await byTurns(able, options.rounds, IDLE, (peer) => measureIdle(bench, peer));
    say(`${idleTable(samples)}\n`);
    keep(IDLE, samples);
  }
  return results;
}

/** Leaves out who cannot, and says why. */
function ableTo(peers: readonly Peer[], missing: (peer: Peer) => string | undefined): readonly Peer[] {
  return peers.filter((peer) => {
    const why = missing(peer);
    if (why !== undefined) say(`skipped: ${peer.name}: ${why}\n`);
    return why === undefined;
  });
}

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2), {
    cases: [...CASES.map(({ name }) => name), IDLE],
    peers: PEERS.map(({ name }) => name),
  });
  if (options.help) {
    say(HELP);
    say(`cases: ${[...CASES.map(({ name }) => name), IDLE].join(', ')}`);
    say(`peers: ${PEERS.map(({ name, about }) => `\n  ${name}: ${about}`).join('')}`);
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
        `${options.rounds} × ${options.seconds} s after ${options.warmup} s; ` +
        (bench.pinned
          ? 'proxy on core 0, load and upstream on core 1'
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
