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

const DEBIAN_PACKAGES = { wrk: 'wrk', h2load: 'nghttp2-client' } as const;

/** Whether what makes the load is there; says so when it is not. */
export function hasLoad(
  session: Pick<Session, 'say'>,
  command: keyof typeof DEBIAN_PACKAGES = 'wrk',
): boolean {
  if (findCommand(command) !== undefined) return true;
  session.say(`skipped: ${command} is not installed: apt-get install ${DEBIAN_PACKAGES[command]}\n`);
  return false;
}

async function run(session: Session, wanted: Case): Promise<void> {
  const { bench, options } = session;
  const command = wanted.downstream === 'http2' ? 'h2load' : 'wrk';
  if (wanted.kind === 'http' && !hasLoad(session, command)) return;
  const able = ableTo(session, session.peers, (peer) => peer.missing(wanted));
  const samples = await byTurns(session, able, options.rounds ?? 1, (peer) =>
    measure(bench, peer, wanted, options),
  );
  session.say(`${caseTable(wanted, samples)}\n`);
}
