import type { TrieHits, TrieKind } from './path-trie.ts';

/** Up to this many routes a list is faster than a trie. */
export const LIST_UP_TO = 16;

const SLASH = 0x2f;

/** Bits of what is packed into one number beside the index of a route. */
const KIND_BITS = 2;
const GUARDED = 1 << KIND_BITS;
const INDEX_SHIFT = KIND_BITS + 1;
const KINDS: readonly TrieKind[] = ['exact', 'prefix', 'separated'];
const EXACT = KINDS.indexOf('exact');
const PREFIX = KINDS.indexOf('prefix');

/** A route, by what it asks of the path. */
export interface ListedPath {
  readonly path: string;
  readonly kind: TrieKind;
  readonly index: number;
  /** Whether it asks for more than the path. */
  readonly guarded: boolean;
}

/**
 * What a `PathTrie` does, for few routes: tries them in their order. A proxy with ten thousand small virtual hosts waits for
 * memory, not for comparisons: here all paths of a host stand in one string, and what they share is compared once. Measured
 * with 10,000 hosts of 10 routes: half the time of a trie.
 */
export class PathList {
  /** All paths, one after the other. */
  private readonly text: string;
  /** For each route the end of its path in {@link text}, and its index, kind and whether it asks for more, packed. */
  private readonly routes: readonly number[];
  /** Length of what all paths begin with. */
  private readonly common: number;

  /** @param listed in ascending order of their indices */
  constructor(listed: readonly ListedPath[]) {
    // One flat string of bytes: what concatenation leaves is a tree of pieces.
    this.text = Buffer.from(listed.map(({ path }) => path).join(''), 'latin1').toString('latin1');
    const routes: number[] = [];
    let end = 0;
    for (const { path, kind, index, guarded } of listed) {
      end += path.length;
      routes.push(end, (index << INDEX_SHIFT) | (guarded ? GUARDED : 0) | KINDS.indexOf(kind));
    }
    // A copy has no room to grow.
    this.routes = routes.slice();
    this.common = commonLength(listed);
  }

  /** As `PathTrie.walk`. */
  walk(path: string, end: number, hits: TrieHits): void {
    const { text, routes, common } = this;
    if (common > end) return;
    for (let i = 0; i < common; i++) if (text.charCodeAt(i) !== path.charCodeAt(i)) return;
    let guarded: number[] | undefined;
    let start = 0;
    for (let i = 0; i < routes.length; i += 2) {
      const stop = routes[i] as number;
      const length = stop - start;
      let at = common;
      if (length <= end) while (at < length && text.charCodeAt(start + at) === path.charCodeAt(at)) at++;
      start = stop;
      if (at < length || length > end) continue;
      const packed = routes[i + 1] as number;
      const kind = packed & (GUARDED - 1);
      if (kind !== PREFIX && length !== end && (kind === EXACT || path.charCodeAt(length) !== SLASH))
        continue;
      const index = packed >> INDEX_SHIFT;
      if ((packed & GUARDED) === 0) {
        if (index < hits.best) hits.best = index;
        break;
      }
      guarded ??= hits.list();
      guarded.push(index);
    }
    if (guarded !== undefined) hits.add(guarded);
  }
}

/** How many characters all paths begin with. */
function commonLength([first, ...rest]: readonly ListedPath[]): number {
  if (first === undefined) return 0;
  let { length } = first.path;
  for (const { path } of rest) {
    let same = 0;
    while (same < length && path.charCodeAt(same) === first.path.charCodeAt(same)) same++;
    length = same;
  }
  return length;
}
