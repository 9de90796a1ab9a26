import { CASES, type Case } from '../cases.ts';
import { ableTo, byTurns, type Experiment, type Session } from '../experiment.ts';
import { measure, type Sample } from '../measure.ts';
import { dragoman, dragomanInThread } from '../peers/dragoman.ts';
import { errorCount, figure, markdownTable, median, spreadPercent, withSpread } from '../report.ts';
import { hasLoad } from './load.ts';

/** So many that a spread means something. */
const ROUNDS = 10;

export const inThread: Experiment = {
  name: 'in-thread',
  title: `small GET, keep-alive, 32 connections: one worker thread against --in-thread (${ROUNDS} rounds)`,
  onlyWhenNamed: true,
  run,
};

async function run(session: Session): Promise<void> {
  if (!hasLoad(session)) return;
  const { bench, options } = session;
  const wanted = CASES[0] as Case;
  const able = ableTo(session, [dragoman, dragomanInThread], (peer) => peer.missing(wanted));
  const samples = await byTurns(session, able, options.rounds ?? ROUNDS, (peer) =>
    measure(bench, peer, wanted, options),
  );
  session.say(`${inThreadTable(samples)}\n`);
  const [threads, inline] = [dragoman, dragomanInThread].map(({ name }) =>
    (samples.get(name) ?? []).map(({ cpuMicros }) => cpuMicros),
  );
  if (threads.length > 0 && inline.length > 0) session.say(`${verdict(threads, inline)}\n`);
}

function inThreadTable(samples: ReadonlyMap<string, readonly Sample[]>): string {
  const rows = [...samples].map(([name, list]) => {
    const of = (field: (sample: Sample) => number) => list.map(field);
    const cpu = of((sample) => sample.cpuMicros);
    return [
      name,
      withSpread(cpu),
      `${figure(Math.min(...cpu))} … ${figure(Math.max(...cpu))}`,
      figure(median(of((sample) => sample.mainMicros))),
      withSpread(of((sample) => sample.perSecond)),
      figure(median(of((sample) => sample.p99 ?? Number.NaN))),
      figure(median(of((sample) => sample.rssBytes)) / (1 << 20)),
      String(errorCount(list)),
    ];
  });
  const head = [
    'proxy',
    'CPU µs/request',
    'from … to',
    'of it main thread',
    'requests/s',
    'p99 ms',
    'RSS MiB',
    'errors',
  ];
  return markdownTable([head, ...rows]);
}

/**
 * Whether medians of CPU per request are further apart than either set of measurements is spread (half of what lies between
 * its extremes).
 */
export function verdict(threads: readonly number[], inline: readonly number[]): string {
  const difference = median(threads) - median(inline);
  const spread = Math.max(...[threads, inline].map((list) => (spreadPercent(list) * median(list)) / 100));
  const percent = (difference / median(inline)) * 100;
  const sign = difference < 0 ? '−' : '+';
  const beyond = Math.abs(difference) > spread;
  return (
    `worker thread against in-thread: ${sign}${figure(Math.abs(difference))} µs (${sign}${Math.abs(percent).toFixed(0)} %), ` +
    `spread ±${figure(spread)} µs; difference beyond the spread: ${beyond ? 'yes' : 'no'}`
  );
}
