/** One line of a difference. */
export interface DiffLine {
  readonly kind: ' ' | '-' | '+';
  readonly text: string;
}

/** Lines that follow one another, with a few around them that have not changed. */
export interface Hunk {
  /** 0-based, in the text after the change. */
  readonly start: number;
  readonly lines: readonly DiffLine[];
}

/** Lines that have not changed before and after those that have. */
const CONTEXT = 2;
/** Changed lines at most: the work grows with their square. Of texts that differ more, the whole middle counts as changed. */
const MAX_CHANGES = 400;

/** The least change that makes `after` of `before` (Myers), as hunks. Empty: they are the same. */
export function diffLines(before: readonly string[], after: readonly string[]): readonly Hunk[] {
  let head = 0;
  while (head < before.length && head < after.length && before[head] === after[head]) head++;
  let tail = 0;
  while (
    tail < before.length - head &&
    tail < after.length - head &&
    before[before.length - 1 - tail] === after[after.length - 1 - tail]
  )
    tail++;
  const middle = middleOf(before.slice(head, before.length - tail), after.slice(head, after.length - tail));
  const lines = [...same(before.slice(0, head)), ...middle, ...same(before.slice(before.length - tail))];
  return hunksOf(lines);
}

function same(lines: readonly string[]): DiffLine[] {
  return lines.map((text) => ({ kind: ' ', text }));
}

function middleOf(before: readonly string[], after: readonly string[]): readonly DiffLine[] {
  const path = before.length === 0 || after.length === 0 ? undefined : shortestPath(before, after);
  if (path !== undefined) return path;
  return [
    ...before.map((text): DiffLine => ({ kind: '-', text })),
    ...after.map((text): DiffLine => ({ kind: '+', text })),
  ];
}

/** For each number of changes the furthest place on every diagonal; undefined: there are too many. */
function shortestPath(before: readonly string[], after: readonly string[]): DiffLine[] | undefined {
  const trace: Map<number, number>[] = [];
  let furthest = new Map<number, number>([[1, 0]]);
  for (let changes = 0; changes <= Math.min(MAX_CHANGES, before.length + after.length); changes++) {
    trace.push(furthest);
    const next = new Map(furthest);
    for (let k = -changes; k <= changes; k += 2) {
      let x = stepsDown(furthest, k, changes) ? at(furthest, k + 1) : at(furthest, k - 1) + 1;
      while (x < before.length && x - k < after.length && before[x] === after[x - k]) x++;
      next.set(k, x);
      if (x >= before.length && x - k >= after.length) return walkBack(trace, before, after);
    }
    furthest = next;
  }
  return undefined;
}

/** A line of `after` was added rather than one of `before` removed. */
function stepsDown(furthest: ReadonlyMap<number, number>, k: number, changes: number): boolean {
  return k === -changes || (k !== changes && at(furthest, k - 1) < at(furthest, k + 1));
}

function at(furthest: ReadonlyMap<number, number>, k: number): number {
  return furthest.get(k) ?? -1;
}

function walkBack(
  trace: readonly ReadonlyMap<number, number>[],
  before: readonly string[],
  after: readonly string[],
): DiffLine[] {
  const lines: DiffLine[] = [];
  let x = before.length;
  let y = after.length;
  for (let changes = trace.length - 1; changes >= 0; changes--) {
    const furthest = trace[changes] as ReadonlyMap<number, number>;
    const k = x - y;
    const down = stepsDown(furthest, k, changes);
    const fromX = at(furthest, down ? k + 1 : k - 1);
    const fromY = fromX - (down ? k + 1 : k - 1);
    while (x > fromX && y > fromY && x > 0 && y > 0) {
      lines.push({ kind: ' ', text: before[--x] as string });
      y--;
    }
    if (changes === 0) break;
    if (down) lines.push({ kind: '+', text: after[--y] as string });
    else lines.push({ kind: '-', text: before[--x] as string });
  }
  return lines.reverse();
}

function hunksOf(lines: readonly DiffLine[]): readonly Hunk[] {
  const kept = new Set<number>();
  lines.forEach(({ kind }, i) => {
    if (kind === ' ') return;
    for (let near = i - CONTEXT; near <= i + CONTEXT; near++) kept.add(near);
  });
  const hunks: { start: number; lines: DiffLine[] }[] = [];
  let row = 0;
  lines.forEach((line, i) => {
    if (kept.has(i)) {
      if (i === 0 || !kept.has(i - 1)) hunks.push({ start: row, lines: [] });
      hunks.at(-1)?.lines.push(line);
    }
    if (line.kind !== '-') row++;
  });
  return hunks;
}
