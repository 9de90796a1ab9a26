import { atPath, ConfigError, type MatchInput, type MatchTree, type MatchTreeParts } from '@dragoman/core';
import { utf8Bytes } from '../bytes.ts';
import type {
  MatcherConfig,
  MatcherListConfig,
  MatcherTreeConfig,
  MatchMapConfig,
  NamedExtension,
  OnMatchConfig,
} from './config.ts';
import { compilePredicate, type PredicateParts } from './predicates.ts';
import { ActionTree, ListTree, MapTree, NOTHING, SkippedTree } from './trees.ts';

/** Finds what a tree names. Each throws ConfigError with a path below the extension's config. */
export interface MatchTreeResolver<D, A> extends PredicateParts<D> {
  /** The tree of a `matcher_tree.custom_match`. */
  tree(config: NamedExtension, parts: MatchTreeParts<D, A>): MatchTree<D, A>;
  /** Compiles an action; called once for each place that has one. */
  action(config: NamedExtension): A;
}

/**
 * Compiles a matcher of the unified matching API, Envoy's older message or xDS'. What it names is found by `resolver`.
 * @throws ConfigError with a path below the matcher
 */
export function compileMatchTree<D, A>(
  config: MatcherConfig,
  resolver: MatchTreeResolver<D, A>,
): MatchTree<D, A> {
  const type = config.matcherType;
  const onNoMatch: MatchTree<D, A> =
    config.onNoMatch === undefined ? NOTHING : onMatch(config.onNoMatch, 'on_no_match', resolver);
  switch (type.case) {
    case 'matcherList':
      return atPath('matcher_list', () => list(type.value, onNoMatch, resolver));
    case 'matcherTree':
      return atPath('matcher_tree', () => tree(type.value, onNoMatch, resolver));
    default:
      // Without a matcher there is only what stands for no match.
      return onNoMatch;
  }
}

function list<D, A>(
  config: MatcherListConfig,
  onNoMatch: MatchTree<D, A>,
  resolver: MatchTreeResolver<D, A>,
): MatchTree<D, A> {
  if (config.matchers.length === 0) throw ConfigError.at('matchers', 'needs one matcher at least');
  const entries = config.matchers.map((entry, i) =>
    atPath(`matchers[${i}]`, () => {
      const { predicate } = entry;
      if (predicate === undefined) throw ConfigError.at('predicate', 'is required');
      return {
        predicate: atPath('predicate', () => compilePredicate(predicate, resolver)),
        onMatch: onMatch(entry.onMatch, 'on_match', resolver),
      };
    }),
  );
  return new ListTree(entries, onNoMatch);
}

function tree<D, A>(
  config: MatcherTreeConfig,
  onNoMatch: MatchTree<D, A>,
  resolver: MatchTreeResolver<D, A>,
): MatchTree<D, A> {
  const inputConfig = config.input;
  if (inputConfig === undefined) throw ConfigError.at('input', 'is required');
  const input = atPath('input', () => resolver.input(inputConfig));
  if (input.kind !== 'text')
    throw ConfigError.at('input', 'gives a value of metadata, a tree takes texts only');
  const type = config.treeType;
  switch (type.case) {
    case 'exactMatchMap':
      return atPath('exact_match_map', () => map('exact', type.value, input, onNoMatch, resolver));
    case 'prefixMatchMap':
      return atPath('prefix_match_map', () => map('prefix', type.value, input, onNoMatch, resolver));
    case 'customMatch': {
      const parts: MatchTreeParts<D, A> = {
        input,
        onNoMatch,
        onMatch: (own, path) => onMatch(own as OnMatchConfig | undefined, path, resolver),
      };
      return atPath('custom_match', () => resolver.tree(type.value, parts));
    }
    default:
      throw ConfigError.at('', 'needs one of exact_match_map, prefix_match_map, custom_match');
  }
}

function map<D, A>(
  kind: 'exact' | 'prefix',
  config: MatchMapConfig,
  input: MatchInput<D>,
  onNoMatch: MatchTree<D, A>,
  resolver: MatchTreeResolver<D, A>,
): MatchTree<D, A> {
  const entries = Object.entries<OnMatchConfig>(config.map);
  if (entries.length === 0) throw ConfigError.at('map', 'needs one entry at least');
  const byKey = new Map(
    entries.map(([key, own]) => [utf8Bytes(key), onMatch(own, `map[${JSON.stringify(key)}]`, resolver)]),
  );
  return new MapTree(input, byKey, kind, onNoMatch);
}

function onMatch<D, A>(
  config: OnMatchConfig | undefined,
  path: string,
  resolver: MatchTreeResolver<D, A>,
): MatchTree<D, A> {
  return atPath(path, () => {
    const inner = onMatchTree<D, A>(config?.onMatch, resolver);
    return config?.keepMatching === true ? new SkippedTree(inner) : inner;
  });
}

function onMatchTree<D, A>(
  config: OnMatchConfig['onMatch'] | undefined,
  resolver: MatchTreeResolver<D, A>,
): MatchTree<D, A> {
  switch (config?.case) {
    case 'matcher':
      return atPath('matcher', () => compileMatchTree(config.value, resolver));
    case 'action':
      return new ActionTree(atPath('action', () => resolver.action(config.value)));
    default:
      throw ConfigError.at('', 'needs one of matcher, action');
  }
}
