import { type CharSet, INVALID_BYTE, normalise } from './char-set.ts';

const DIGIT = [0x30, 0x39];
const WORD = [0x30, 0x39, 0x41, 0x5a, 0x5f, 0x5f, 0x61, 0x7a];
/** RE2's `\s` has no vertical tab; `[[:space:]]` has. */
const SPACE = [0x09, 0x0a, 0x0c, 0x0d, 0x20, 0x20];

/** `\d`, `\s`, `\w`: ASCII, whatever the flags. */
export const PERL_CLASSES: Readonly<Record<string, CharSet>> = { d: DIGIT, s: SPACE, w: WORD };

/** The names in `[[:name:]]`. */
export const POSIX_CLASSES: Readonly<Record<string, CharSet>> = {
  alnum: [0x30, 0x39, 0x41, 0x5a, 0x61, 0x7a],
  alpha: [0x41, 0x5a, 0x61, 0x7a],
  ascii: [0x00, 0x7f],
  blank: [0x09, 0x09, 0x20, 0x20],
  cntrl: [0x00, 0x1f, 0x7f, 0x7f],
  digit: DIGIT,
  graph: [0x21, 0x7e],
  lower: [0x61, 0x7a],
  print: [0x20, 0x7e],
  punct: [0x21, 0x2f, 0x3a, 0x40, 0x5b, 0x60, 0x7b, 0x7e],
  space: [0x09, 0x0d, 0x20, 0x20],
  upper: [0x41, 0x5a],
  word: WORD,
  xdigit: [0x30, 0x39, 0x41, 0x46, 0x61, 0x66],
};

/** General categories as RE2 names them; `C` and `Cn` leave out what is not assigned. */
const CATEGORIES = new Set(
  'Cc Cf Co Cs L Ll Lm Lo Lt Lu M Mc Me Mn N Nd Nl No P Pc Pd Pe Pf Pi Po Ps S Sc Sk Sm So Z Zl Zp Zs'.split(
    ' ',
  ),
);

const known = new Map<string, CharSet | undefined>();

/** The members of `\p{name}`: a general category, a script or `Any`; undefined when there is no such group. */
export function unicodeGroup(name: string): CharSet | undefined {
  if (!known.has(name)) known.set(name, findGroup(name));
  return known.get(name);
}

function findGroup(name: string): CharSet | undefined {
  // What is meant to be anything takes bytes outside UTF-8 too, as `.` does.
  if (name === 'Any') return [0, INVALID_BYTE];
  if (name === 'C') return membersOf('[\\p{Cc}\\p{Cf}\\p{Co}\\p{Cs}]');
  if (CATEGORIES.has(name)) return membersOf(`\\p{gc=${name}}`);
  if (!/^[A-Z][A-Za-z_]+$/.test(name)) return undefined;
  return membersOf(`\\p{Script=${name}}`);
}

/** The planes that have assigned characters; 4 … 13 have none. */
const PLANES = [0, 1, 2, 3, 14];
/** Planes 15 and 16 hold private use and nothing else. */
const PRIVATE_PLANES = [0xf0000, 0xffffd, 0x100000, 0x10fffd];

/** Reads a class out of the platform's tables. Off the hot path: some 30 ms for each new group. */
function membersOf(source: string): CharSet | undefined {
  let runs: RegExp;
  try {
    runs = new RegExp(`${source}+`, 'gu');
  } catch {
    return undefined;
  }
  const pairs: number[] = [];
  for (const plane of PLANES) {
    const width = plane === 0 ? 1 : 2;
    for (const run of planeText(plane).matchAll(runs)) {
      const low = plane * 0x10000 + run.index / width;
      pairs.push(low, low + run[0].length / width - 1);
    }
  }
  if (new RegExp(source, 'u').test('\u{f0000}')) pairs.push(...PRIVATE_PLANES);
  return pairs.length === 0 ? undefined : normalise(pairs);
}

/** Every code point of a plane, in order. (U+DBFF and U+DC00 read as a pair: no text holds a surrogate, so no group misses them.) */
function planeText(plane: number): string {
  let text = '';
  for (let start = 0; start < 0x10000; start += 0x1000) {
    text += String.fromCodePoint(...Array.from({ length: 0x1000 }, (_, i) => plane * 0x10000 + start + i));
  }
  return text;
}
