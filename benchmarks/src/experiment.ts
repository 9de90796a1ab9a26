import type { Options } from './options.ts';
import type { Peer } from './peers/peer.ts';
import type { Workbench } from './workbench.ts';

/** What an experiment has to work with. */
export interface Session {
  readonly bench: Workbench;
  readonly options: Options;
  /** Those that were asked for, or all that need not be. */
  readonly peers: readonly Peer[];
  say(text?: string): void;
  /** Every single figure, for `--json`. */
  keep(contestant: string, samples: readonly unknown[]): void;
}

/** Something to find out: what `--cases` names. */
export interface Experiment {
  readonly name: string;
  readonly title: string;
  /** It takes long, or says nothing about peers: measured only when it is asked for. */
  readonly onlyWhenNamed: boolean;
  /** Measures, and prints a table. */
  run(session: Session): Promise<void>;
}

/** One that takes turns with others. */
interface Contestant {
  readonly name: string;
}

/**
 * One measurement of each by turns, `rounds` times, every second round the other way round: what changes on the machine meanwhile
 * meets all of them alike. One that fails is reported and left out.
 */
export async function byTurns<C extends Contestant, S>(
  session: Pick<Session, 'say' | 'keep'>,
  contestants: readonly C[],
  rounds: number,
  once: (contestant: C) => Promise<S>,
): Promise<ReadonlyMap<string, readonly S[]>> {
  const samples = new Map<string, S[]>(contestants.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? contestants : contestants.toReversed();
    for (const contestant of order) {
      const { name } = contestant;
      const list = samples.get(name);
      if (list === undefined) continue;
      try {
        list.push(await once(contestant));
      } catch (error) {
        samples.delete(name);
        process.exitCode = 1;
        session.say(`${name} failed: ${(error as Error).message}\n`);
      }
    }
  }
  for (const [name, list] of samples) session.keep(name, list);
  return samples;
}

/** Leaves out who cannot, and says why. */
export function ableTo<C extends Contestant>(
  session: Pick<Session, 'say'>,
  contestants: readonly C[],
  missing: (contestant: C) => string | undefined,
): readonly C[] {
  return contestants.filter((contestant) => {
    const why = missing(contestant);
    if (why !== undefined) session.say(`skipped: ${contestant.name}: ${why}\n`);
    return why === undefined;
  });
}
