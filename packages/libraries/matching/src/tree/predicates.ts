import {
  atPath,
  ConfigError,
  type MatchInput,
  NOT_AVAILABLE,
  type NotAvailable,
  type ValueMatcher,
} from '@dragoman/core';
import { compileStringMatcher } from '../string-matcher.ts';
import type { NamedExtension, PredicateConfig, SinglePredicateConfig } from './config.ts';

/** Whether it holds, or that this cannot be told yet. */
export type Predicate<D> = (data: D) => boolean | NotAvailable;

/** What predicates need of whoever compiles a tree. */
export interface PredicateParts<D> {
  input(config: NamedExtension): MatchInput<D>;
  valueMatcher(config: NamedExtension): ValueMatcher;
}

/** @throws ConfigError with a path below the predicate */
export function compilePredicate<D>(config: PredicateConfig, parts: PredicateParts<D>): Predicate<D> {
  const type = config.matchType;
  switch (type.case) {
    case 'singlePredicate':
      return atPath('single_predicate', () => compileSingle(type.value, parts));
    case 'orMatcher':
      return any(compileAll('or_matcher', type.value.predicate, parts));
    case 'andMatcher':
      return all(compileAll('and_matcher', type.value.predicate, parts));
    case 'notMatcher': {
      const inner = atPath('not_matcher', () => compilePredicate(type.value, parts));
      return (data) => {
        const holds = inner(data);
        return holds === NOT_AVAILABLE ? NOT_AVAILABLE : !holds;
      };
    }
    default:
      throw ConfigError.at('', 'needs one of single_predicate, or_matcher, and_matcher, not_matcher');
  }
}

function compileAll<D>(
  field: string,
  configs: readonly PredicateConfig[],
  parts: PredicateParts<D>,
): readonly Predicate<D>[] {
  if (configs.length < 2) throw ConfigError.at(`${field}.predicate`, 'needs two predicates at least');
  return configs.map((config, i) =>
    atPath(`${field}.predicate[${i}]`, () => compilePredicate(config, parts)),
  );
}

/** One that cannot be told does not stand in the way of one that holds. */
function any<D>(predicates: readonly Predicate<D>[]): Predicate<D> {
  return (data) => {
    let outcome: boolean | NotAvailable = false;
    for (const predicate of predicates) {
      const holds = predicate(data);
      if (holds === true) return true;
      if (holds === NOT_AVAILABLE) outcome = NOT_AVAILABLE;
    }
    return outcome;
  };
}

/** Asked in order: the first that does not hold, or cannot be told, decides. */
function all<D>(predicates: readonly Predicate<D>[]): Predicate<D> {
  return (data) => {
    for (const predicate of predicates) {
      const holds = predicate(data);
      if (holds !== true) return holds;
    }
    return true;
  };
}

function compileSingle<D>(config: SinglePredicateConfig, parts: PredicateParts<D>): Predicate<D> {
  const inputConfig = config.input;
  if (inputConfig === undefined) throw ConfigError.at('input', 'is required');
  const input = atPath('input', () => parts.input(inputConfig));
  const matcher = valueMatcher(config, parts);
  if (matcher.takes !== input.kind)
    throw ConfigError.at(
      '',
      `this matcher takes ${KINDS[matcher.takes]}, the input gives ${KINDS[input.kind]}`,
    );
  const { kind } = input;
  return (data) => {
    const value = input.get(data);
    if (value === NOT_AVAILABLE) return NOT_AVAILABLE;
    if (value === undefined && kind === 'text') return false;
    if (matcher.matches(value)) return true;
    return input.isPartial?.(data) === true ? NOT_AVAILABLE : false;
  };
}

const KINDS = { text: 'a text', value: 'a value of metadata' } as const;

function valueMatcher<D>(config: SinglePredicateConfig, parts: PredicateParts<D>): ValueMatcher {
  const { matcher } = config;
  switch (matcher.case) {
    case 'valueMatch': {
      const matches = atPath('value_match', () => compileStringMatcher(matcher.value));
      return { takes: 'text', matches: (value) => typeof value === 'string' && matches(value) };
    }
    case 'customMatch':
      return atPath('custom_match', () => parts.valueMatcher(matcher.value));
    default:
      throw ConfigError.at('', 'needs one of value_match, custom_match');
  }
}
