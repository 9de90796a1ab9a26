import { parseArgs } from 'node:util';

/** What a run is asked to do. */
export interface Options {
  /** Names of cases; empty: all but those that want to be named. */
  readonly cases: readonly string[];
  /** Names of peers; empty: likewise. */
  readonly peers: readonly string[];
  /** Length of one measurement. Default 5. */
  readonly seconds: number;
  /** Load before it, not counted. Default 2. */
  readonly warmup: number;
  /** How often each case is measured with each peer, by turns. Default: what the case says, most: 1. */
  readonly rounds: number | undefined;
  /** Where all figures go as JSON. */
  readonly json: string | undefined;
  readonly help: boolean;
}

export const HELP = `npm run bench -- [options]
  --cases a,b     these cases; without it all that are not "only when named"
  --peers x,y     these peers, likewise
  --seconds N     length of one measurement (5)
  --warmup N      load before it (2)
  --rounds N      measure N times, peers by turns, and print medians with their spread (1, if the case says nothing else)
  --json FILE     write every single figure
`;

/** @throws Error for an unknown option, case or peer, or a number that is none */
export function parseOptions(
  args: readonly string[],
  known: { readonly cases: readonly string[]; readonly peers: readonly string[] },
): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      cases: { type: 'string' },
      peers: { type: 'string' },
      seconds: { type: 'string', default: '5' },
      warmup: { type: 'string', default: '2' },
      rounds: { type: 'string' },
      json: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  return {
    cases: names(values.cases, known.cases, 'case'),
    peers: names(values.peers, known.peers, 'peer'),
    seconds: number(values.seconds, 'seconds', 1),
    warmup: number(values.warmup, 'warmup', 0),
    rounds: values.rounds === undefined ? undefined : number(values.rounds, 'rounds', 1),
    json: values.json,
    help: values.help,
  };
}

function names(text: string | undefined, known: readonly string[], what: string): readonly string[] {
  const list = (text ?? '').split(',').filter((name) => name !== '');
  for (const name of list) {
    if (!known.includes(name)) throw new Error(`no ${what} "${name}"; there are ${known.join(', ')}`);
  }
  return list;
}

function number(text: string, name: string, least: number): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isInteger(value) || value < least)
    throw new Error(`--${name} takes a whole number of at least ${least}`);
  return value;
}
