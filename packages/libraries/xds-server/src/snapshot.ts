import { hash } from 'node:crypto';
import {
  type ConfigSource,
  DiscoveryResponseSchema,
  type DescMessage,
  durationMs,
  fromBinary,
  loadConfig,
  ResourceSchema,
  unpackAny,
} from '@dragoman/api';
import { ConfigError } from '@dragoman/core';
import { KIND_NAMES, KINDS, type KindName, typeUrlOf } from './kinds.ts';
import { inconsistencies, type SnapshotProblem } from './references.ts';
import {
  type ResourceInput,
  type ResourceOptions,
  resource,
  resourceOfAny,
  toResource,
  type XdsResource,
} from './resource.ts';
import { ResourceSet, type ResourceView } from './resource-set.ts';

/**
 * Resources by type. A type that is left out is none of the snapshot's business: clients that ask for it wait.
 * An empty list says that there are none.
 */
export type SnapshotParts = { readonly [K in KindName]?: readonly ResourceInput[] } & {
  /** Of other types: typed messages, or JSON with `@type`. */
  readonly others?: readonly ResourceInput[];
};

/** One version for all types, or one for each; a type without one has a hash of its resources. */
export type SnapshotVersion = string | { readonly [K in KindName]?: string };

/** What some clients are to know, of all types, at one time. It never changes. */
export class Snapshot {
  readonly #sets: ReadonlyMap<string, ResourceSet>;
  #problems: readonly SnapshotProblem[] | undefined;

  constructor(sets: ReadonlyMap<string, ResourceSet>) {
    this.#sets = sets;
  }

  /** Type URLs that the snapshot has, also with no resource. */
  get types(): readonly string[] {
    return [...this.#sets.keys()];
  }

  /** @param type a type URL, a schema, or a name such as `clusters` */
  view(type: string | DescMessage): ResourceView | undefined {
    return this.#sets.get(typeUrlOf(type));
  }

  /** Undefined when the snapshot does not have the type. */
  version(type: string | DescMessage): string | undefined {
    return this.view(type)?.version;
  }

  /** Names of a type. */
  names(type: string | DescMessage): readonly string[] {
    return [...(this.view(type)?.all() ?? [])].map(({ name }) => name);
  }

  /** References without a resource, and resources that nothing refers to. Worked out once. */
  problems(): readonly SnapshotProblem[] {
    this.#problems ??= inconsistencies(this);
    return this.#problems;
  }

  /** The same but for the types of `parts`. */
  with(version: SnapshotVersion | undefined, parts: SnapshotParts): Snapshot {
    return new Snapshot(new Map([...this.#sets, ...setsOf(version, parts)]));
  }
}

/**
 * A snapshot of typed messages, proto3 JSON, or what {@link resource} made.
 *
 * @param version for all types or for each; undefined: each type has a hash of its resources, so that only types that
 *   changed are sent again
 * @throws ConfigError with the place of what is wrong (`clusters[2].connect_timeout`), also for names that occur twice
 */
export function snapshot(version: SnapshotVersion | undefined, parts: SnapshotParts): Snapshot {
  return new Snapshot(setsOf(version, parts));
}

/**
 * A snapshot of a file or text in the form of Envoy's dynamic resource files: a DiscoveryResponse of resources of any
 * types (`resources: [{ "@type": …, … }]`, `version_info`), in YAML, JSON, binary or text format.
 *
 * @throws ConfigError with file, line and column
 */
export function snapshotFrom(
  source: ConfigSource,
  options: { readonly version?: SnapshotVersion } = {},
): Snapshot {
  const { message } = loadConfig(source, { schema: DiscoveryResponseSchema });
  const others = message.resources.map((any, index) => {
    try {
      if (any.typeUrl !== WRAPPER) return toResource(unpackAny(any) as ResourceInput);
      const wrapped = fromBinary(ResourceSchema, any.value);
      if (wrapped.resource === undefined) throw ConfigError.at('resource', 'is required');
      const ttlMs = wrapped.ttl === undefined ? undefined : durationMs(wrapped.ttl);
      const given: ResourceOptions = { aliases: wrapped.aliases, ttlMs };
      const inner = unpackAny(wrapped.resource);
      if (inner === undefined) return resourceOfAny(wrapped.resource, { ...given, name: wrapped.name });
      return resource(inner, wrapped.name === '' ? given : { ...given, name: wrapped.name });
    } catch (error) {
      throw error instanceof ConfigError ? error.within(`resources[${index}]`) : error;
    }
  });
  const stated = message.versionInfo === '' ? undefined : message.versionInfo;
  return snapshot(options.version ?? stated, { others });
}

const WRAPPER = typeUrlOf(ResourceSchema);

function setsOf(version: SnapshotVersion | undefined, parts: SnapshotParts): Map<string, ResourceSet> {
  const byType = new Map<string, Map<string, XdsResource>>();
  const add = (path: string, input: ResourceInput, schema?: DescMessage): void => {
    const made = resourceAt(path, input, schema);
    let names = byType.get(made.typeUrl);
    if (names === undefined) byType.set(made.typeUrl, (names = new Map()));
    if (names.has(made.name)) throw ConfigError.at(path, `a resource named "${made.name}" is already there`);
    names.set(made.name, made);
  };
  for (const name of KIND_NAMES) {
    const list = parts[name];
    if (list === undefined) continue;
    byType.set(KINDS[name].typeUrl, new Map());
    list.forEach((input, index) => {
      add(`${name}[${index}]`, input, KINDS[name].schema);
    });
  }
  parts.others?.forEach((input, index) => {
    add(`others[${index}]`, input);
  });
  return new Map(
    [...byType].map(([url, names]) => [
      url,
      new ResourceSet(versionFor(version, url, names), names.values()),
    ]),
  );
}

function resourceAt(path: string, input: ResourceInput, schema?: DescMessage): XdsResource {
  try {
    return toResource(input, schema);
  } catch (error) {
    throw error instanceof ConfigError ? error.within(path) : error;
  }
}

function versionFor(
  version: SnapshotVersion | undefined,
  url: string,
  names: ReadonlyMap<string, XdsResource>,
): string {
  if (typeof version === 'string') return version;
  const name = KIND_NAMES.find((one) => KINDS[one].typeUrl === url);
  const stated = name === undefined ? undefined : version?.[name];
  if (stated !== undefined) return stated;
  const content = [...names.values()]
    .map((one) => [one.name, one.version])
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return hash('sha256', JSON.stringify(content), 'hex').slice(0, VERSION_DIGITS);
}

const VERSION_DIGITS = 20;
