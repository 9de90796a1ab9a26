import { CASES, type Case } from '../cases.ts';
import { ableTo, byTurns, type Experiment, type Session } from '../experiment.ts';
import { measure, type Sample, together } from '../measure.ts';
import type { Peer } from '../peers/peer.ts';
import { errorCount, figure, markdownTable, median, withSpread } from '../report.ts';
import { hasLoad } from './load.ts';

const WORKERS = [1, 2];

/** More connections than in `small-32`: the kernel deals them out by a hash, and few of them unevenly. */
const WANTED: Case = { ...(CASES[0] as Case), connections: 64 };

export const scaling: Experiment = {
  name: 'scaling',
  title: 'small GET, keep-alive, 64 connections: 1 and 2 workers, load and upstream on the same two cores',
  onlyWhenNamed: true,
  run,
};

/** A peer with so many workers. */
export interface Variant {
  readonly name: string;
  readonly peer: Peer;
  readonly workers: number;
}

export function variants(peers: readonly Peer[], workers: readonly number[]): readonly Variant[] {
  return peers.flatMap((peer) =>
    workers.map((count) => ({ name: `${peer.name}, ${count}`, peer, workers: count })),
  );
}

async function run(session: Session): Promise<void> {
  if (!hasLoad(session)) return;
  const { bench, options } = session;
  const able = ableTo(session, session.peers, (peer) =>
    peer.scales ? peer.missing(WANTED) : 'it has one worker only',
  );
  const all = variants(able, WORKERS);
  const samples = await byTurns(session, all, options.rounds ?? 1, ({ peer, workers }) =>
    measure(bench, peer, WANTED, options, together(workers)),
  );
  session.say(`${scalingTable(all, samples)}\n`);
}

export function scalingTable(
  all: readonly Pick<Variant, 'name' | 'peer' | 'workers'>[],
  samples: ReadonlyMap<string, readonly Sample[]>,
): string {
  const of = (name: string, field: (sample: Sample) => number) => (samples.get(name) ?? []).map(field);
  const rows = all
    .filter(({ name }) => samples.has(name))
    .map(({ name, peer, workers }) => {
      const rate = of(name, (sample) => sample.perSecond);
      const cpu = of(name, (sample) => sample.cpuMicros);
      const alone = all.find((other) => other.peer === peer && other.workers === 1)?.name ?? '';
      const aloneRate = median(of(alone, (sample) => sample.perSecond));
      const aloneCpu = median(of(alone, (sample) => sample.cpuMicros));
      return [
        peer.name,
        String(workers),
        withSpread(rate),
        figure(median(rate) / aloneRate),
        figure(median(of(name, (sample) => sample.p50 ?? Number.NaN))),
        figure(median(of(name, (sample) => sample.p99 ?? Number.NaN))),
        withSpread(cpu),
        figure(median(cpu) / aloneCpu),
        figure(median(of(name, (sample) => sample.cpuShare))),
        String(errorCount(samples.get(name) ?? [])),
      ];
    });
  const head = [
    'proxy',
    'workers',
    'requests/s',
    '× 1 worker',
    'p50 ms',
    'p99 ms',
    'CPU µs/request',
    '× 1 worker',
    'cores used',
    'errors',
  ];
  return markdownTable([head, ...rows]);
}
