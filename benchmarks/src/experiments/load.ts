import { CASES, type Case } from '../cases.ts';
import { ableTo, byTurns, type Experiment, type Session } from '../experiment.ts';
import { measure } from '../measure.ts';
import { caseTable } from '../report.ts';
import { findCommand } from '../workbench.ts';

/** Every peer under the same load. */
export const loads: readonly Experiment[] = CASES.map((wanted) => ({
  name: wanted.name,
  title: wanted.title,
  onlyWhenNamed: false,
  run: (session: Session) => run(session, wanted),
}));

/** Whether wrk is there; says so when it is not. */
export function hasWrk(session: Pick<Session, 'say'>): boolean {
  if (findCommand('wrk') !== undefined) return true;
  session.say('skipped: wrk is not installed: apt-get install wrk\n');
  return false;
}

async function run(session: Session, wanted: Case): Promise<void> {
  const { bench, options } = session;
  if (wanted.kind === 'http' && !hasWrk(session)) return;
  const able = ableTo(session, session.peers, (peer) => peer.missing(wanted));
  const samples = await byTurns(session, able, options.rounds ?? 1, (peer) =>
    measure(bench, peer, wanted, options),
  );
  session.say(`${caseTable(wanted, samples)}\n`);
}
