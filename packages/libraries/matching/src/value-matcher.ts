import type { DoubleMatcher, MetadataMatcher, ValueMatcher } from '@dragoman/api';
import { atPath, ConfigError, type MetadataValue } from '@dragoman/core';
import { compileStringMatcher } from './string-matcher.ts';

/** Whether a value of metadata matches; undefined is one that is not there. */
export type ValuePredicate = (value: MetadataValue | undefined) => boolean;

/**
 * Compiles a `type.matcher.v3.ValueMatcher`.
 * @throws ConfigError with a path below the message.
 */
export function compileValueMatcher(config: ValueMatcher): ValuePredicate {
  const pattern = config.matchPattern;
  switch (pattern.case) {
    case 'nullMatch':
      return (value) => value === null;
    case 'boolMatch': {
      const wanted = pattern.value;
      return (value) => value === wanted;
    }
    case 'presentMatch': {
      const wanted = pattern.value;
      return (value) => (value !== undefined) === wanted;
    }
    case 'stringMatch': {
      const matcher = pattern.value;
      const matches = atPath('string_match', () => compileStringMatcher(matcher, { values: 'text' }));
      return (value) => typeof value === 'string' && matches(value);
    }
    case 'doubleMatch': {
      const matcher = pattern.value;
      const matches = atPath('double_match', () => compileDoubleMatcher(matcher));
      return (value) => typeof value === 'number' && matches(value);
    }
    case 'listMatch': {
      const inner = pattern.value.matchPattern;
      if (inner.case === undefined) throw ConfigError.at('list_match', 'needs one_of');
      const item = inner.value;
      const matches = atPath('list_match.one_of', () => compileValueMatcher(item));
      return (value) => Array.isArray(value) && value.some(matches);
    }
    case 'orMatch': {
      const all = pattern.value.valueMatchers.map((matcher, index) =>
        atPath(`or_match.value_matchers[${index}]`, () => compileValueMatcher(matcher)),
      );
      return (value) => all.some((matches) => matches(value));
    }
    default:
      throw ConfigError.at('', 'needs a match pattern');
  }
}

/**
 * Compiles a `type.matcher.v3.DoubleMatcher`; a range holds its start and not its end.
 * @throws ConfigError when it asks for nothing.
 */
export function compileDoubleMatcher(config: DoubleMatcher): (value: number) => boolean {
  const pattern = config.matchPattern;
  switch (pattern.case) {
    case 'exact': {
      const wanted = pattern.value;
      return (value) => value === wanted;
    }
    case 'range': {
      const { start, end } = pattern.value;
      return (value) => value >= start && value < end;
    }
    default:
      throw ConfigError.at('', 'needs one of exact, range');
  }
}

/** Metadata by namespace, as streams, hosts and routes carry it. */
export type MetadataMap = ReadonlyMap<string, Readonly<Record<string, MetadataValue>>>;

/** The value under `namespace` and a path of keys, or undefined. Only own properties count. */
export function metadataValue(
  metadata: MetadataMap | undefined,
  namespace: string,
  path: readonly string[],
): MetadataValue | undefined {
  let value: MetadataValue | undefined = metadata?.get(namespace);
  for (const key of path) {
    if (value === null || typeof value !== 'object' || Array.isArray(value)) return undefined;
    if (!Object.hasOwn(value, key)) return undefined;
    value = (value as { readonly [key: string]: MetadataValue })[key];
  }
  return value;
}

/** A compiled `type.matcher.v3.MetadataMatcher`. */
export interface CompiledMetadataMatcher {
  /** The value it looks at, or undefined. */
  find(metadata: MetadataMap | undefined): MetadataValue | undefined;
  /** Whether that value matches (`invert` applied). */
  matches(metadata: MetadataMap | undefined): boolean;
}

/**
 * Compiles a `type.matcher.v3.MetadataMatcher`.
 * @throws ConfigError with a path below the message.
 */
export function compileMetadataMatcher(config: MetadataMatcher): CompiledMetadataMatcher {
  const namespace = config.filter;
  const path = config.path.map((part, index) => {
    if (part.segment.case !== 'key') throw ConfigError.at(`path[${index}]`, 'needs key');
    return part.segment.value;
  });
  const expected = config.value;
  if (expected === undefined) throw ConfigError.at('value', 'is required');
  const matches = atPath('value', () => compileValueMatcher(expected));
  const invert = config.invert;
  return {
    find: (metadata) => metadataValue(metadata, namespace, path),
    matches: (metadata) => matches(metadataValue(metadata, namespace, path)) !== invert,
  };
}
