import type { DescMessage } from '@dragoman/api';
import { messageType } from '@dragoman/api';
import { ConfigError } from '@dragoman/core';
import type { AnswerRules, CacheSubscriber, CacheSubscription, Interest, XdsCache } from './cache.ts';
import { kindOf, typeUrlOf } from './kinds.ts';
import { type ResourceInput, toResource, type XdsResource } from './resource.ts';
import { ResourceSet, type ResourceView } from './resource-set.ts';

export interface LinearCacheOptions {
  readonly resources?: Iterable<ResourceInput>;
  /**
   * Before the number of a version. With one that no other process has had (a start time, a generation), clients that
   * reconnect with the newest version are not sent everything again; without, they are, as the same number may be another process's. Default none.
   */
  readonly versionPrefix?: string;
}

/**
 * Resources of one type, the same for every client, for large numbers: a change costs what its watchers cost. Versions
 * count up by one with each change.
 */
export class LinearCache implements XdsCache {
  readonly typeUrl: string;
  readonly #schema: DescMessage | undefined;
  readonly #prefix: string;
  readonly #set: ResourceSet;
  readonly #watchers = new Map<string, Set<LinearSubscription>>();
  readonly #all = new Set<LinearSubscription>();
  readonly #rules: AnswerRules;
  #number = 0;

  /** @param type a type URL, a schema, or a name such as `endpoints` */
  constructor(type: string | DescMessage, { resources = [], versionPrefix = '' }: LinearCacheOptions = {}) {
    this.typeUrl = typeUrlOf(type);
    this.#schema = messageType(this.typeUrl);
    this.#prefix = versionPrefix;
    this.#rules = { partial: kindOf(this.typeUrl)?.whole !== true, resumable: versionPrefix !== '' };
    this.#set = new ResourceSet(`${versionPrefix}0`);
    for (const one of resources) this.#set.set(this.#resource(one));
  }

  get version(): string {
    return this.#set.version;
  }

  get size(): number {
    return this.#set.size;
  }

  get(name: string): XdsResource | undefined {
    return this.#set.get(name);
  }

  /** All there is, as it is now: the view goes with the cache. */
  view(): ResourceView {
    return this.#set;
  }

  /** Adds a resource or replaces that of its name. @throws ConfigError when it is none of this type */
  set(input: ResourceInput): void {
    this.update({ set: [input] });
  }

  /** Returns false when there was none. */
  delete(name: string): boolean {
    if (this.#set.get(name) === undefined) return false;
    this.update({ delete: [name] });
    return true;
  }

  /** Several changes, one version. @throws ConfigError when a resource is none of this type: then nothing has changed */
  update(changes: { readonly set?: Iterable<ResourceInput>; readonly delete?: Iterable<string> }): void {
    const added = [...(changes.set ?? [])].map((one) => this.#resource(one));
    const woken = new Set<LinearSubscription>();
    let changed = false;
    for (const name of changes.delete ?? []) {
      const old = this.#set.delete(name);
      if (old === undefined) continue;
      changed = true;
      this.#mark(old.keys, name, woken);
    }
    for (const one of added) {
      const old = this.#set.get(one.name);
      if (old?.version === one.version) continue;
      this.#set.set(one);
      changed = true;
      this.#mark(one.keys, one.name, woken);
      if (old !== undefined && old.keys.length > 1) this.#mark(old.keys, one.name, woken);
    }
    if (!changed) return;
    this.#set.version = `${this.#prefix}${++this.#number}`;
    for (const one of woken) one.subscriber.wake();
  }

  /** Replaces everything. @throws ConfigError when a resource is none of this type: then nothing has changed */
  replaceAll(resources: Iterable<ResourceInput>): void {
    const next = [...resources].map((one) => this.#resource(one));
    const names = new Set(next.map(({ name }) => name));
    this.update({
      set: next,
      delete: [...this.#set.all()].map(({ name }) => name).filter((name) => !names.has(name)),
    });
  }

  open(subscriber: CacheSubscriber): CacheSubscription | undefined {
    if (subscriber.typeUrl !== this.typeUrl) return undefined;
    return new LinearSubscription(subscriber, this.#set, this.#rules, {
      byName: this.#watchers,
      all: this.#all,
    });
  }

  #resource(input: ResourceInput): XdsResource {
    const made = toResource(input, this.#schema);
    if (made.typeUrl !== this.typeUrl)
      throw ConfigError.at('', `${made.name} is a ${made.typeUrl}, expected ${this.typeUrl}`);
    return made;
  }

  #mark(keys: readonly string[], name: string, woken: Set<LinearSubscription>): void {
    for (const one of this.#all) {
      one.mark(name);
      woken.add(one);
    }
    for (const key of keys) {
      for (const one of this.#watchers.get(key) ?? []) {
        one.mark(name);
        woken.add(one);
      }
    }
  }
}

/** Names of resources that are no more, which a subscription keeps until its client is told. */
const SPARE_NAMES = 1000;

interface Watchers {
  readonly byName: Map<string, Set<LinearSubscription>>;
  readonly all: Set<LinearSubscription>;
}

class LinearSubscription implements CacheSubscription {
  readonly subscriber: CacheSubscriber;
  readonly rules: AnswerRules;
  /** Not yet taken by {@link changes}; undefined when there were too many to keep. */
  #changed: Set<string> | undefined = new Set();
  readonly #set: ResourceSet;
  readonly #watchers: Watchers;
  readonly #names = new Set<string>();

  constructor(subscriber: CacheSubscriber, set: ResourceSet, rules: AnswerRules, watchers: Watchers) {
    this.subscriber = subscriber;
    this.#set = set;
    this.rules = rules;
    this.#watchers = watchers;
  }

  setInterest({ wildcard, added, removed }: Interest): void {
    if (wildcard) this.#watchers.all.add(this);
    else this.#watchers.all.delete(this);
    for (const name of removed) this.#unwatch(name);
    for (const name of added) this.#watch(name);
  }

  view(): ResourceView {
    return this.#set;
  }

  changes(): ReadonlySet<string> | undefined {
    const changed = this.#changed;
    if (changed === undefined || changed.size > 0) this.#changed = new Set();
    return changed;
  }

  mark(name: string): void {
    this.#changed?.add(name);
    // A client that does not answer while names come and go: what it missed is worked out when it does.
    if (this.#changed !== undefined && this.#changed.size > this.#set.size + SPARE_NAMES)
      this.#changed = undefined;
  }

  close(): void {
    this.#watchers.all.delete(this);
    for (const name of this.#names) this.#unwatch(name);
  }

  #watch(name: string): void {
    const { byName } = this.#watchers;
    this.#names.add(name);
    const there = byName.get(name);
    if (there === undefined) byName.set(name, new Set([this]));
    else there.add(this);
  }

  #unwatch(name: string): void {
    const { byName } = this.#watchers;
    this.#names.delete(name);
    const there = byName.get(name);
    if (there?.delete(this) === true && there.size === 0) byName.delete(name);
  }
}
