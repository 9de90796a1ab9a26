/** An index that no route has. */
export const NO_ROUTE = 0x3fffffff;

const NO_CODES: number[] = [];
const NO_CHILDREN: TrieNode[] = [];

/** Which part of the path a route's path condition covers. */
export type TrieKind = 'exact' | 'prefix' | 'separated';

/**
 * A node of a radix tree over paths. For each kind of condition that ends here: the first route that matches on the path
 * alone (`free`), and the routes before it that ask for more (`guarded`, ascending). Routes behind a free one of the
 * same kind and path can never be reached and are left out.
 */
class TrieNode {
  label: string;
  /** First characters of the {@link children}'s labels. Leaves, most nodes, share the empty lists. */
  codes: number[] = NO_CODES;
  children: TrieNode[] = NO_CHILDREN;
  /** Children by character code, once there are many. */
  table: (TrieNode | undefined)[] | undefined = undefined;
  tableBase = 0;

  prefixFree = NO_ROUTE;
  exactFree = NO_ROUTE;
  separatedFree = NO_ROUTE;
  prefixGuarded: number[] | undefined = undefined;
  exactGuarded: number[] | undefined = undefined;
  separatedGuarded: number[] | undefined = undefined;

  constructor(label: string) {
    this.label = label;
  }

  child(code: number): TrieNode | undefined {
    if (this.table !== undefined) return this.table[code - this.tableBase];
    const { codes } = this;
    for (let i = 0; i < codes.length; i++) if (codes[i] === code) return this.children[i];
    return undefined;
  }
}

/** More children than this are found by table: up to it, comparing is as fast and takes no room. */
const TABLE_FROM = 6;

const SLASH = 0x2f;

/**
 * What a walk found, reused for every walk: the first free route, and the lists of guarded ones. A lookup runs to its
 * end before the next begins.
 */
export class TrieHits {
  best = NO_ROUTE;
  /** Ascending lists, {@link count} of them in use. */
  readonly lists: (readonly number[])[] = [];
  readonly cursors: number[] = [];
  count = 0;

  /** Lists for whoever has none of its own, {@link spareCount} of them in use. */
  private readonly spares: number[][] = [];
  private spareCount = 0;

  reset(): void {
    this.best = NO_ROUTE;
    this.count = 0;
    this.spareCount = 0;
  }

  /** An empty list to fill and {@link add}, until the next {@link reset}. */
  list(): number[] {
    const list = this.spares[this.spareCount] ?? [];
    this.spares[this.spareCount++] = list;
    list.length = 0;
    return list;
  }

  add(list: readonly number[]): void {
    this.lists[this.count] = list;
    this.cursors[this.count] = 0;
    this.count++;
  }

  /** The lowest guarded index not taken yet, below {@link best}; or NO_ROUTE. */
  next(): number {
    let lowest = this.best;
    let from = -1;
    for (let i = 0; i < this.count; i++) {
      const list = this.lists[i] as readonly number[];
      const cursor = this.cursors[i] as number;
      if (cursor >= list.length) continue;
      const index = list[cursor] as number;
      if (index < lowest) {
        lowest = index;
        from = i;
      }
    }
    if (from < 0) return NO_ROUTE;
    this.cursors[from] = (this.cursors[from] as number) + 1;
    return lowest;
  }
}

/**
 * Finds the routes whose exact, prefix or separated-prefix condition a path meets, in time that grows with the path and
 * not with the number of routes. Routes are added in ascending order of index.
 */
export class PathTrie {
  private readonly root = new TrieNode('');

  add(path: string, kind: TrieKind, index: number, guarded: boolean): void {
    const node = this.nodeFor(path);
    switch (kind) {
      case 'prefix':
        if (node.prefixFree !== NO_ROUTE) return;
        if (guarded) (node.prefixGuarded ??= []).push(index);
        else node.prefixFree = index;
        return;
      case 'exact':
        if (node.exactFree !== NO_ROUTE) return;
        if (guarded) (node.exactGuarded ??= []).push(index);
        else node.exactFree = index;
        return;
      case 'separated':
        if (node.separatedFree !== NO_ROUTE) return;
        if (guarded) (node.separatedGuarded ??= []).push(index);
        else node.separatedFree = index;
    }
  }

  /** Walks `path` up to `end` and adds what it finds to `hits`. */
  walk(path: string, end: number, hits: TrieHits): void {
    let node = this.root;
    let at = 0;
    for (;;) {
      if (node.prefixFree < hits.best) hits.best = node.prefixFree;
      if (node.prefixGuarded !== undefined) hits.add(node.prefixGuarded);
      if (at === end) {
        if (node.exactFree < hits.best) hits.best = node.exactFree;
        if (node.exactGuarded !== undefined) hits.add(node.exactGuarded);
        if (node.separatedFree < hits.best) hits.best = node.separatedFree;
        if (node.separatedGuarded !== undefined) hits.add(node.separatedGuarded);
        return;
      }
      const code = path.charCodeAt(at);
      if (code === SLASH) {
        if (node.separatedFree < hits.best) hits.best = node.separatedFree;
        if (node.separatedGuarded !== undefined) hits.add(node.separatedGuarded);
      }
      const child = node.child(code);
      if (child === undefined) return;
      const { label } = child;
      const after = at + label.length;
      if (after > end) return;
      for (let i = 1; i < label.length; i++) if (label.charCodeAt(i) !== path.charCodeAt(at + i)) return;
      node = child;
      at = after;
    }
  }

  private nodeFor(path: string): TrieNode {
    let node = this.root;
    let at = 0;
    while (at < path.length) {
      const code = path.charCodeAt(at);
      const child = node.child(code);
      if (child === undefined) {
        const leaf = new TrieNode(path.slice(at));
        adopt(node, code, leaf);
        return leaf;
      }
      const { label } = child;
      const limit = Math.min(label.length, path.length - at);
      let same = 1;
      while (same < limit && label.charCodeAt(same) === path.charCodeAt(at + same)) same++;
      if (same === label.length) node = child;
      else node = split(node, code, child, same);
      at += same;
    }
    return node;
  }
}

/** Puts a node for the first `length` characters of `child`'s label between it and its parent. */
function split(parent: TrieNode, code: number, child: TrieNode, length: number): TrieNode {
  const upper = new TrieNode(child.label.slice(0, length));
  child.label = child.label.slice(length);
  parent.children[parent.codes.indexOf(code)] = upper;
  if (parent.table !== undefined) parent.table[code - parent.tableBase] = upper;
  adopt(upper, child.label.charCodeAt(0), child);
  return upper;
}

function adopt(parent: TrieNode, code: number, child: TrieNode): void {
  if (parent.codes === NO_CODES) {
    parent.codes = [];
    parent.children = [];
  }
  parent.codes.push(code);
  parent.children.push(child);
  if (parent.children.length <= TABLE_FROM) return;
  const base = Math.min(...parent.codes);
  const table: (TrieNode | undefined)[] = [];
  for (let i = Math.max(...parent.codes) - base; i >= 0; i--) table.push(undefined);
  parent.codes.forEach((each, i) => {
    table[each - base] = parent.children[i];
  });
  parent.table = table;
  parent.tableBase = base;
}
