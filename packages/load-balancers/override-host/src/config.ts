import type { MetadataKey, OverrideHost, OverrideHost_OverrideHostSource } from '@dragoman/api';
import { ConfigError, ProblemCollector } from '@dragoman/core';

/** A namespace of dynamic metadata and the keys that lead to a value; at least one. */
export interface MetadataPlace {
  readonly namespace: string;
  readonly path: readonly string[];
}

/** Where a request may name hosts: a header (in lower case) or dynamic metadata. */
export type Source = { readonly header: string } | MetadataPlace;

/** An `OverrideHost` message, read. */
export interface OverrideOptions {
  /** At least one; the addresses of the first come first. */
  readonly sources: readonly Source[];
  /** `selected_host_key` */
  readonly selectedHost: MetadataPlace | undefined;
}

/** @throws ConfigError with every problem */
export function readOverrideHost(config: OverrideHost): OverrideOptions {
  const problems = new ProblemCollector();
  if (config.overrideHostSources.length === 0)
    problems.add('override_host_sources', 'is empty: name at least one header or metadata key');
  const sources = config.overrideHostSources
    .map((source, index) => problems.try(`override_host_sources[${index}]`, () => readSource(source)))
    .filter((source) => source !== undefined);
  const { selectedHostKey: key } = config;
  const selectedHost =
    key === undefined ? undefined : problems.try('selected_host_key', () => readPlace(key));
  problems.throwIfAny();
  return { sources, selectedHost };
}

function readSource({ header, metadata }: OverrideHost_OverrideHostSource): Source {
  if ((header === '') === (metadata === undefined))
    throw ConfigError.at('', `needs ${header === '' ? 'one' : 'only one'} of header, metadata`);
  if (metadata === undefined) return { header: header.toLowerCase() };
  return readPlace(metadata, 'metadata');
}

function readPlace({ key, path }: MetadataKey, field = ''): MetadataPlace {
  const at = (name: string): string => (field === '' ? name : `${field}.${name}`);
  if (key === '') throw ConfigError.at(at('key'), 'is empty: name a namespace, e.g. envoy.lb');
  if (path.length === 0) throw ConfigError.at(at('path'), 'is empty: name at least one key');
  return {
    namespace: key,
    path: path.map(({ segment }, index) => {
      if (segment.case !== 'key') throw ConfigError.at(at(`path[${index}]`), 'needs key');
      return segment.value;
    }),
  };
}
