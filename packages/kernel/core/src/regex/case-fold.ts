/** Code points with case lie below this (Adlam ends at U+1E943). */
const CASED_END = 0x1f000;
const KELVIN = 0x212a;
const LONG_S = 0x17f;

let orbits: Map<number, readonly number[]> | undefined;

/** Appends to `out` the ranges that fold together with a member of `low … high`. */
export function addFolds(low: number, high: number, out: number[]): void {
  addAsciiFolds(low, high, out);
  if (high < 0x80) return;
  orbits ??= findOrbits();
  const end = Math.min(high, CASED_END);
  for (let point = Math.max(low, 0x80); point <= end; point++) {
    const orbit = orbits.get(point);
    if (orbit !== undefined) for (const other of orbit) out.push(other, other);
  }
}

/** ASCII needs no table: the two letters that fold with something else are `k` (the kelvin sign) and `s` (the long s). */
function addAsciiFolds(low: number, high: number, out: number[]): void {
  for (const [from, to, shift] of [
    [0x41, 0x5a, 32],
    [0x61, 0x7a, -32],
  ] as const) {
    const first = Math.max(low, from);
    const last = Math.min(high, to);
    if (first > last) continue;
    out.push(first + shift, last + shift);
    const lowered = shift === 32 ? 32 : 0;
    if (first + lowered <= 0x6b && last + lowered >= 0x6b) out.push(KELVIN, KELVIN);
    if (first + lowered <= 0x73 && last + lowered >= 0x73) out.push(LONG_S, LONG_S);
  }
}

/**
 * Code point → those that simple case folding makes equal. Derived from the platform's tables when a pattern first asks:
 * `i` with `u` compares by simple folding, upper and lower case say which pairs to ask for.
 */
function findOrbits(): Map<number, readonly number[]> {
  const found = new Map<number, Set<number>>();
  for (let point = 0; point < CASED_END; point++) {
    if (point >= 0xd800 && point <= 0xdfff) continue;
    const char = String.fromCodePoint(point);
    for (const cased of [char.toLowerCase(), char.toUpperCase()]) {
      if (cased === char) continue;
      const other = cased.codePointAt(0) as number;
      if (cased.length !== String.fromCodePoint(other).length || !foldsTogether(point, other)) continue;
      const orbit = new Set([...(found.get(point) ?? [point]), ...(found.get(other) ?? [other])]);
      for (const member of orbit) found.set(member, orbit);
    }
  }
  return new Map([...found].map(([point, orbit]) => [point, [...orbit]]));
}

function foldsTogether(a: number, b: number): boolean {
  return new RegExp(`^\\u{${a.toString(16)}}$`, 'iu').test(String.fromCodePoint(b));
}
