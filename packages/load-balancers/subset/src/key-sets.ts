import type { Host, MetadataValue } from '@dragoman/core';
import { LB_METADATA } from '@dragoman/load-balancing';
import type { Selector, SubsetOptions } from './config.ts';
import { type Criteria, countCriteria, criterion } from './criteria.ts';
import { ValueMap } from './value-map.ts';

type Branch<T> = ValueMap<Branch<T> | T>;

/** The subsets of one set of keys: a tree with a level for each key, by value. Selectors with the same keys share it. */
export class KeySet<T extends object> {
  readonly keys: readonly string[];
  /** Of the first of its selectors, as is {@link singleHost}. */
  readonly fallback: Selector['fallback'];
  /** With `fallback: 'keys'`: the set that is tried next; undefined when no selector has those keys. */
  lesser: KeySet<T> | undefined = undefined;
  readonly singleHost: boolean;
  private readonly tree: Branch<T> = new ValueMap();

  constructor({ keys, fallback, singleHost }: Selector) {
    this.keys = keys;
    this.fallback = fallback;
    this.singleHost = singleHost;
  }

  /** The subset that has the values of the criteria. */
  find(base: Criteria, over: Criteria | undefined): T | undefined {
    const { keys } = this;
    let node: Branch<T> | T | undefined = this.tree;
    for (let i = 0; i < keys.length && node !== undefined; i++)
      node = (node as Branch<T>).get(criterion(keys[i], base, over));
    return node as T | undefined;
  }

  /** Whether there are criteria for all of its keys. */
  covers(base: Criteria, over: Criteria | undefined): boolean {
    for (const key of this.keys) if (criterion(key, base, over) === undefined) return false;
    return true;
  }

  /** The subset of these values, which `create` makes if it is the first time. @param values in the order of the keys */
  at(values: readonly MetadataValue[], create: () => T): T {
    let branch = this.tree;
    const last = values.length - 1;
    for (let i = 0; i < last; i++) {
      let next = branch.get(values[i]) as Branch<T> | undefined;
      if (next === undefined) {
        next = new ValueMap();
        branch.set(values[i], next);
      }
      branch = next;
    }
    let leaf = branch.get(values[last]) as T | undefined;
    if (leaf === undefined) {
      leaf = create();
      branch.set(values[last], leaf);
    }
    return leaf;
  }

  remove(values: readonly MetadataValue[]): void {
    prune(this.tree, values, 0);
  }

  /**
   * The values a host has for the keys: none when it lacks one of them.
   * @param listAsAny a list is each of its values; several lists, each combination
   */
  valuesOf(host: Host, listAsAny: boolean): readonly (readonly MetadataValue[])[] {
    const fields = host.metadata.get(LB_METADATA);
    if (fields === undefined) return [];
    let tuples: (readonly MetadataValue[])[] = [[]];
    for (const key of this.keys) {
      if (!Object.hasOwn(fields, key)) return [];
      const value = fields[key];
      const options = listAsAny && Array.isArray(value) ? (value as readonly MetadataValue[]) : [value];
      tuples = tuples.flatMap((tuple) => options.map((option) => [...tuple, option]));
    }
    return tuples;
  }
}

function prune(branch: Branch<object>, values: readonly MetadataValue[], depth: number): void {
  if (depth < values.length - 1) {
    const next = branch.get(values[depth]) as Branch<object>;
    prune(next, values, depth + 1);
    if (next.size > 0) return;
  }
  branch.delete(values[depth]);
}

/** Finds the set of keys that criteria are for. */
export class KeySets<T extends object> {
  /** For each selector its set; the same one several times when they have the same keys. */
  readonly ofSelectors: readonly KeySet<T>[];
  private readonly distinct: readonly KeySet<T>[];
  private readonly byCount: (KeySet<T>[] | undefined)[] = [];
  private readonly redundant: boolean;

  constructor({ selectors, allowRedundantKeys }: SubsetOptions) {
    const known = new Map<string, KeySet<T>>();
    this.redundant = allowRedundantKeys;
    this.ofSelectors = selectors.map((selector) => {
      const name = nameOf(selector.keys);
      const set = known.get(name) ?? new KeySet<T>(selector);
      known.set(name, set);
      return set;
    });
    this.distinct = [...known.values()];
    for (const set of this.distinct) {
      const { length } = set.keys;
      this.byCount[length] ??= [];
      this.byCount[length].push(set);
    }
    for (const [index, { fallbackKeys }] of selectors.entries()) {
      const set = this.ofSelectors[index];
      const isFirst = this.ofSelectors.indexOf(set) === index;
      if (isFirst && set.fallback === 'keys') set.lesser = this.forKeys(fallbackKeys, known);
    }
  }

  /** Undefined when no selector is for these criteria. @param over as for {@link criterion} */
  select(base: Criteria, over: Criteria | undefined): KeySet<T> | undefined {
    const candidates = this.redundant ? this.distinct : this.byCount[countCriteria(base, over)];
    if (candidates === undefined) return undefined;
    for (const set of candidates) if (set.covers(base, over)) return set;
    return undefined;
  }

  private forKeys(keys: readonly string[], known: ReadonlyMap<string, KeySet<T>>): KeySet<T> | undefined {
    if (!this.redundant) return known.get(nameOf(keys));
    return this.distinct.find((set) => set.keys.every((key) => keys.includes(key)));
  }
}

function nameOf(keys: readonly string[]): string {
  return JSON.stringify(keys);
}
