import type { XdsResource } from './resource.ts';

/** The resources of one type, as a subscription sees them. */
export interface ResourceView {
  /** Changes whenever a resource does. */
  readonly version: string;
  readonly size: number;
  get(name: string): XdsResource | undefined;
  /** Those of a name or an alias. */
  find(key: string): readonly XdsResource[];
  all(): Iterable<XdsResource>;
}

const NONE: readonly XdsResource[] = [];

/** Resources of one type by name, and by what else they are found under. */
export class ResourceSet implements ResourceView {
  version: string;
  readonly #byName = new Map<string, XdsResource>();
  /** Only of resources that have more than their name. */
  readonly #byKey = new Map<string, Set<XdsResource>>();

  constructor(version: string, resources: Iterable<XdsResource> = []) {
    this.version = version;
    for (const one of resources) this.set(one);
  }

  get size(): number {
    return this.#byName.size;
  }

  get(name: string): XdsResource | undefined {
    return this.#byName.get(name);
  }

  find(key: string): readonly XdsResource[] {
    const named = this.#byName.get(key);
    const others = this.#byKey.get(key);
    if (others === undefined) return named === undefined ? NONE : [named];
    return named === undefined ? [...others] : [...new Set([named, ...others])];
  }

  all(): Iterable<XdsResource> {
    return this.#byName.values();
  }

  set(one: XdsResource): void {
    const old = this.#byName.get(one.name);
    if (old !== undefined) this.#forgetKeys(old);
    this.#byName.set(one.name, one);
    for (const key of one.keys) {
      if (key === one.name) continue;
      const found = this.#byKey.get(key);
      if (found === undefined) this.#byKey.set(key, new Set([one]));
      else found.add(one);
    }
  }

  /** Returns what was there. */
  delete(name: string): XdsResource | undefined {
    const old = this.#byName.get(name);
    if (old === undefined) return undefined;
    this.#byName.delete(name);
    this.#forgetKeys(old);
    return old;
  }

  #forgetKeys(old: XdsResource): void {
    for (const key of old.keys) {
      const found = this.#byKey.get(key);
      if (found?.delete(old) === true && found.size === 0) this.#byKey.delete(key);
    }
  }
}
