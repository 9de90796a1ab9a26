import { collectionOf, isCollection, isXdstp, namespaceOf } from '@dragoman/xds-sources';
import type { Interest, NameSet } from './protocol.ts';
import type { Watch } from './watch.ts';

/** Who wants what of one type. */
export class WatchMap implements Interest {
  private readonly all = new Set<Watch>();
  private readonly everything = new Set<Watch>();
  private readonly byName = new Map<string, Set<Watch>>();
  private readonly byNamespace = new Map<string, Set<Watch>>();
  /** Those of the names that are collections. */
  private readonly collections = new Set<string>();
  readonly names: NameSet = new NameView(this.byName);
  /** Another number whenever something else is wanted, by all together. */
  revision = 0;

  get wildcard(): boolean {
    return this.everything.size > 0;
  }

  get size(): number {
    return this.all.size;
  }

  /** Those who want everything. */
  get wildcards(): Iterable<Watch> {
    return this.everything;
  }

  /** Nobody has named a resource. */
  get onlyWildcard(): boolean {
    return this.byName.size === 0;
  }

  /** Those that stand for any number of resources. */
  get openNames(): ReadonlySet<string> {
    return this.byNamespace.size === 0
      ? this.collections
      : new Set([...this.byNamespace.keys(), ...this.collections]);
  }

  [Symbol.iterator](): Iterator<Watch> {
    return this.all.values();
  }

  has(watch: Watch): boolean {
    return this.all.has(watch);
  }

  add(watch: Watch): void {
    this.all.add(watch);
    this.setEverything(watch, watch.wildcard);
    for (const name of watch.names) this.link(name, watch);
    this.count(link(this.byNamespace, watch.namespace, watch));
  }

  setNames(watch: Watch, names: readonly string[]): { readonly added: string[]; readonly removed: string[] } {
    this.count(unlink(this.byNamespace, watch.namespace, watch));
    const difference = watch.setNames(names);
    this.count(link(this.byNamespace, watch.namespace, watch));
    this.setEverything(watch, watch.wildcard);
    for (const name of difference.added) this.link(name, watch);
    for (const name of difference.removed) this.unlink(name, watch);
    return difference;
  }

  remove(watch: Watch): void {
    this.all.delete(watch);
    this.setEverything(watch, false);
    for (const name of watch.names) this.unlink(name, watch);
    this.count(unlink(this.byNamespace, watch.namespace, watch));
  }

  wants(name: string, aliases: readonly string[]): boolean {
    return this.wildcard || this.isNamed(name) || aliases.some((alias) => this.isNamed(alias));
  }

  /** Those that a resource concerns, each once. Names in canonical form. */
  interestedIn(name: string, aliases: readonly string[]): Iterable<Watch> {
    const exact = this.byName.get(name);
    // Nearly all have one name, and nobody who wants everything.
    if (aliases.length === 0 && this.everything.size + this.byNamespace.size === 0 && !isXdstp(name))
      return exact ?? [];
    const found = new Set(this.everything);
    for (const one of [name, ...aliases]) {
      for (const watch of this.byName.get(one) ?? []) found.add(watch);
      for (const watch of this.byName.get(collectionOf(one) ?? '') ?? []) found.add(watch);
      for (const watch of this.byNamespace.get(namespaceOf(one) ?? '') ?? []) found.add(watch);
    }
    return found;
  }

  private isNamed(name: string): boolean {
    if (this.byName.has(name)) return true;
    const collection = collectionOf(name);
    if (collection !== undefined) return this.byName.has(collection);
    return this.byNamespace.size > 0 && this.byNamespace.has(namespaceOf(name) ?? '');
  }

  private setEverything(watch: Watch, wanted: boolean): void {
    const before = this.wildcard;
    if (wanted) this.everything.add(watch);
    else this.everything.delete(watch);
    this.count(before !== this.wildcard);
  }

  private count(changed: boolean): void {
    if (changed) this.revision++;
  }

  private link(name: string, watch: Watch): void {
    this.count(link(this.byName, name, watch));
    if (isCollection(name)) this.collections.add(name);
  }

  private unlink(name: string, watch: Watch): void {
    this.count(unlink(this.byName, name, watch));
    if (!this.byName.has(name)) this.collections.delete(name);
  }
}

/** @returns whether it is the first one of its name */
function link(map: Map<string, Set<Watch>>, name: string | undefined, watch: Watch): boolean {
  if (name === undefined) return false;
  const watches = map.get(name);
  watches?.add(watch);
  if (watches === undefined) map.set(name, new Set([watch]));
  return watches === undefined;
}

/** @returns whether it was the last one of its name */
function unlink(map: Map<string, Set<Watch>>, name: string | undefined, watch: Watch): boolean {
  if (name === undefined) return false;
  const watches = map.get(name);
  watches?.delete(watch);
  return watches?.size === 0 && map.delete(name);
}

/** The keys of a map, to be looked at as a set, without a copy. */
class NameView implements NameSet {
  private readonly map: ReadonlyMap<string, unknown>;

  constructor(map: ReadonlyMap<string, unknown>) {
    this.map = map;
  }

  get size(): number {
    return this.map.size;
  }

  has(name: string): boolean {
    return this.map.has(name);
  }

  [Symbol.iterator](): Iterator<string> {
    return this.map.keys();
  }
}
