/** Edits (insert, delete, replace, swap of neighbours) from `a` to `b`, or `limit + 1` when there are more. */
function distance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    let best = i;
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        cost = Math.min(cost, before[j - 2] + 1);
      row.push(cost);
      if (cost < best) best = cost;
    }
    if (best > limit) return limit + 1;
    before = last;
    last = row;
  }
  return last[b.length];
}

const plain = (name: string) => name.toLowerCase().replaceAll('-', '_');

/**
 * The candidate that `name` was probably meant to be, for "did you mean": at most a third of its letters differ, and
 * three at most; letter case and `-` for `_` do not count. Undefined when none is near.
 */
export function nearest(name: string, candidates: Iterable<string>): string | undefined {
  if (name.length > 200) return undefined;
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
