const LONGEST = 200;
/** Three rows of the table of edits; a name may be up to three letters longer than what is looked for, and lower case longer still. */
const ROWS = [0, 1, 2].map(() => new Uint16Array(4 * LONGEST)) as [Uint16Array, Uint16Array, Uint16Array];

/**
 * Edits (insert, delete, replace, swap of neighbours) from `a` to `b`, or `limit + 1` when there are more. Names may be a
 * stranger's: only what lies within the limit of the diagonal is looked at.
 */
function distance(left: string, right: string, limit: number): number {
  const over = limit + 1;
  if (Math.abs(left.length - right.length) > limit) return over;
  const [a, b] = withoutEnds(left, right);
  let [before, last, row] = ROWS;
  for (let j = 0; j <= Math.min(limit + 1, b.length); j++) last[j] = Math.min(j, over);
  for (let i = 1; i <= a.length; i++) {
    const from = Math.max(1, i - limit);
    const to = Math.min(b.length, i + limit);
    row[from - 1] = from === 1 ? Math.min(i, over) : over;
    let best = row[from - 1];
    for (let j = from; j <= to; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        cost = Math.min(cost, before[j - 2] + 1);
      row[j] = cost;
      if (cost < best) best = cost;
    }
    row[to + 1] = over;
    if (best > limit) return over;
    [before, last, row] = [last, row, before];
  }
  return Math.min(last[b.length], over);
}

/** The same pair without what both begin and end with: it costs no edit. */
function withoutEnds(a: string, b: string): readonly [a: string, b: string] {
  const shorter = Math.min(a.length, b.length);
  let start = 0;
  while (start < shorter && a.charCodeAt(start) === b.charCodeAt(start)) start++;
  let end = 0;
  while (end < shorter - start && a.charCodeAt(a.length - 1 - end) === b.charCodeAt(b.length - 1 - end))
    end++;
  return [a.slice(start, a.length - end), b.slice(start, b.length - end)];
}

const plain = (name: string) => name.toLowerCase().replaceAll('-', '_');

/**
 * The candidate that `name` was probably meant to be, for "did you mean": at most a third of its letters differ, and
 * three at most; letter case and `-` for `_` do not count. Undefined when none is near.
 */
export function nearest(name: string, candidates: Iterable<string>): string | undefined {
  if (name.length > LONGEST) return undefined;
  const wanted = plain(name);
  let limit = Math.min(3, Math.max(1, Math.floor(name.length / 3)));
  let found: string | undefined;
  for (const candidate of candidates) {
    const edits = distance(wanted, plain(candidate), limit);
    if (edits <= limit) {
      found = candidate;
      if (edits === 0) break;
      limit = edits - 1; // only a strictly nearer one replaces it
    }
  }
  return found;
}
