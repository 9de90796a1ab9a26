import { CASES, type Case } from '../cases.ts';
import { ableTo, byTurns, type Experiment, type Session } from '../experiment.ts';
import type { Peer } from '../peers/peer.ts';
import { settledRss } from '../proc.ts';
import { figure, markdownTable, median, withSpread } from '../report.ts';
import { startUpstream } from '../upstream.ts';
import { BOTH_CORES, freePort, untilAnswering, type Workbench } from '../workbench.ts';
import { type Variant, variants } from './scaling.ts';

const WORKERS = [1, 2, 4];
const WANTED = CASES[0] as Case;

/** What a proxy costs before it has anything to do, by its number of workers. */
export const startUp: Experiment = {
  name: 'start-up',
  title: 'Start and memory with 1, 2 and 4 workers, on both cores',
  onlyWhenNamed: false,
  run,
};

export interface StartUpSample {
  /** Milliseconds from exec until it answered a request with what the upstream said. */
  readonly answerMs: number;
  readonly rssBytes: number;
}

async function run(session: Session): Promise<void> {
  const able = ableTo(session, session.peers, (peer) => peer.missing(WANTED));
  const all = able.flatMap((peer) => variants([peer], peer.scales ? WORKERS : [1]));
  const samples = await byTurns(session, all, session.options.rounds ?? 1, ({ peer, workers }) =>
    measureStartUp(session.bench, peer, workers),
  );
  session.say(`${startUpTable(all, samples)}\n`);
}

async function measureStartUp(bench: Workbench, peer: Peer, workers: number): Promise<StartUpSample> {
  const upstream = await startUpstream(bench, WANTED);
  const port = await freePort();
  const target = { case: WANTED, port, upstreamPort: upstream.port, workers, cores: BOTH_CORES };
  const child = await peer.start(bench, target);
  try {
    const answerMs = (await untilAnswering(port, child)) - child.startedAt;
    return { answerMs, rssBytes: await settledRss(child.pid) };
  } finally {
    await child.stop();
    await upstream.child.stop();
  }
}

export function startUpTable(
  all: readonly Variant[],
  samples: ReadonlyMap<string, readonly StartUpSample[]>,
): string {
  const rss = (name: string) => median((samples.get(name) ?? []).map((sample) => sample.rssBytes));
  const rows = all
    .filter(({ name }) => samples.has(name))
    .map(({ name, peer, workers }) => {
      const alone = all.find((other) => other.peer === peer && other.workers === 1)?.name ?? '';
      const further = (rss(name) - rss(alone)) / (workers - 1);
      return [
        peer.name,
        String(workers),
        withSpread((samples.get(name) ?? []).map(({ answerMs }) => answerMs)),
        figure(rss(name) / (1 << 20)),
        workers === 1 ? '-' : figure(further / (1 << 20)),
      ];
    });
  const head = ['proxy', 'workers', 'exec to first answer ms', 'RSS MiB', 'MiB/further worker'];
  return markdownTable([head, ...rows]);
}
