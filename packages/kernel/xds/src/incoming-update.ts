import { type DescMessage, nameOfResource } from '@dragoman/api';
import { type ConfigProblem, type DiscoveredResource, locatedIn } from '@dragoman/core';
import { canonicalName } from '@dragoman/xds-sources';
import type { DiscoveryType } from './discovery-types.ts';
import type { KnownResources } from './known-resources.ts';
import type { Incoming, IncomingResource } from './protocol.ts';
import type { ResourceReader } from './resource-reader.ts';
import type { WatchMap } from './watch-map.ts';

/** Resources of one type from one server; a server that makes up names without end is stopped there. */
export const MAX_RESOURCES = 200_000;

export interface GoodResource {
  readonly resource: DiscoveredResource;
  readonly ttlMs: number | undefined;
}

export interface BadResource {
  readonly version: string;
  /** Located by the name. */
  readonly problems: readonly ConfigProblem[];
}

/** A response whose resources have been read; by canonical name. */
export interface ReadUpdate {
  /** The server says that there is nothing. */
  readonly empty: boolean;
  /** How many came that nobody has asked for. */
  readonly unwanted: number;
  readonly good: ReadonlyMap<string, GoodResource>;
  readonly bad: ReadonlyMap<string, BadResource>;
  /** Of resources that cannot even be named: nobody knows which of the old ones they were to replace. */
  readonly nameless: readonly ConfigProblem[];
  /** Only their time to live is new. */
  readonly heartbeats: ReadonlyMap<string, number | undefined>;
  readonly removed: ReadonlySet<string>;
  /** It says nothing besides {@link heartbeats}. */
  readonly onlyHeartbeats: boolean;
}

interface Surroundings {
  readonly type: DiscoveryType;
  readonly schema: DescMessage;
  readonly reader: ResourceReader;
  readonly known: KnownResources;
  readonly watches: WatchMap;
  /** Several responses are read as one: of resources with the same name the last counts. */
  readonly merged: boolean;
}

/** Reads a response: what each resource is, and what is wrong with it. It does not throw. */
export function readUpdate(incoming: Incoming, around: Surroundings): ReadUpdate {
  const reading = new Reading(around, incoming.resources.length + incoming.removed.length === 0);
  for (const [index, one] of incoming.resources.entries()) reading.resource(one, index);
  for (const name of incoming.removed) reading.remove(canonicalName(name));
  return reading;
}

class Reading implements ReadUpdate {
  readonly good = new Map<string, GoodResource>();
  readonly bad = new Map<string, BadResource>();
  readonly nameless: ConfigProblem[] = [];
  readonly heartbeats = new Map<string, number | undefined>();
  readonly removed = new Set<string>();
  readonly empty: boolean;
  unwanted = 0;
  private readonly around: Surroundings;
  private added = 0;

  constructor(around: Surroundings, empty: boolean) {
    this.around = around;
    this.empty = empty;
  }

  get onlyHeartbeats(): boolean {
    return this.heartbeats.size > 0 && this.good.size + this.bad.size + this.nameless.length === 0;
  }

  resource(one: IncomingResource, index: number): void {
    const { schema, reader, watches } = this.around;
    const name = canonicalName(one.name);
    if (one.problem !== undefined) this.refuse(name, one, index, [{ path: '', message: one.problem }]);
    else if (one.body === undefined) this.withoutBody(name, one, index);
    else if (name !== '' && !watches.wants(name, one.aliases)) this.unwanted++;
    else {
      const { message, problems } = reader.read(one.body, schema);
      const found = name === '' && message !== undefined ? canonicalName(nameOfResource(message)) : name;
      if (found !== '' && !watches.wants(found, one.aliases)) this.unwanted++;
      else if (problems.length > 0 || message === undefined) this.refuse(found, one, index, problems);
      else if (found === '') this.refuse('', one, index, [{ path: '', message: 'has no name' }]);
      else this.accept(found, one, { name: found, version: one.version, message, aliases: one.aliases });
    }
  }

  remove(name: string): void {
    if (this.good.has(name) || this.bad.has(name))
      this.refuse(name, { version: '' }, 0, [
        { path: '', message: 'is both sent and removed in one response' },
      ]);
    else this.removed.add(name);
  }

  private accept(name: string, { ttlMs }: IncomingResource, resource: DiscoveredResource): void {
    const { merged, known } = this.around;
    if (this.isTwice(name)) {
      if (!merged) {
        this.refuse(name, resource, 0, [{ path: '', message: 'stands more than once in one response' }]);
        return;
      }
      this.bad.delete(name);
      this.heartbeats.delete(name);
    } else if (!known.has(name) && known.size + ++this.added > MAX_RESOURCES) {
      this.refuse(name, resource, 0, [
        { path: '', message: `is one more than the ${MAX_RESOURCES} that are kept of a type` },
      ]);
      return;
    }
    this.good.set(name, { resource, ttlMs });
  }

  private withoutBody(name: string, one: IncomingResource, index: number): void {
    const { type, known } = this.around;
    if (type.emptyMeansUnresolved) {
      for (const alias of one.aliases) this.removed.add(canonicalName(alias));
      if (one.aliases.length === 0 && name !== '') this.removed.add(name);
      return;
    }
    const current = known.get(name);
    if (current !== undefined && current.version === one.version) {
      if (!this.good.has(name)) this.heartbeats.set(name, one.ttlMs);
      return;
    }
    if (name !== '' && !this.around.watches.wants(name, one.aliases)) {
      this.unwanted++;
      return;
    }
    const message =
      current === undefined
        ? 'has no body'
        : `has no body, and is no heartbeat: version "${current.version}" is in use, not "${one.version}"`;
    this.refuse(name, one, index, [{ path: '', message }]);
  }

  private isTwice(name: string): boolean {
    return this.good.has(name) || this.bad.has(name) || this.heartbeats.has(name);
  }

  /** A good one of the same name stays: a duplicate, or a later version that is bad, does not take it away. */
  private refuse(
    name: string,
    { version }: { readonly version: string },
    index: number,
    problems: readonly ConfigProblem[],
  ): void {
    if (name === '') {
      if (this.nameless.length < MAX_NAMELESS)
        this.nameless.push(...locatedIn(`resources[${index}]`, problems));
      return;
    }
    const before = this.bad.get(name)?.problems ?? [];
    if (before.length < MAX_NAMELESS)
      this.bad.set(name, { version, problems: [...before, ...locatedIn(name, problems)] });
  }
}

/** A server is told no more than fit into a NACK anyway. */
const MAX_NAMELESS = 100;
