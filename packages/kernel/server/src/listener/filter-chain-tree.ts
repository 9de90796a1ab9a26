import {
  anyTypeName,
  type FilterChainMatch,
  StringValueSchema,
  unpackAnyAs,
  type XdsMatcher,
} from '@dragoman/api';
import {
  atPath,
  ConfigError,
  type ConnectionInfo,
  type ConnectionMatchData,
  type FactoryContext,
  type MatchTree,
  NOT_AVAILABLE,
  ProblemCollector,
} from '@dragoman/core';
import {
  compileMatchTree,
  connectionMatchResolver,
  type FilterState,
  type NamedExtension,
} from '@dragoman/matching';
import type { FilterChains } from './filter-chain-match.ts';

/** A chain that a tree may name. */
export interface NamedChain<T> {
  readonly name: string;
  readonly match: FilterChainMatch | undefined;
  readonly chain: T;
  readonly path: string;
}

/** What an action of the tree names. */
interface Choice<T> {
  /** Undefined: no chain has the name, and the connection is closed. */
  readonly chain: T | undefined;
}

/** `filter_chain_matcher`: a tree whose actions are names of filter chains. */
export class FilterChainTree<T> implements FilterChains<T> {
  private readonly tree: MatchTree<ConnectionMatchData, Choice<T>>;
  private readonly fallback: T | undefined;

  /**
   * @param fallback takes what the tree comes to nothing for
   * @throws ConfigError with paths below the listener
   */
  constructor(
    config: XdsMatcher,
    chains: readonly NamedChain<T>[],
    fallback: T | undefined,
    context: FactoryContext,
  ) {
    const byName = chainsByName(chains);
    const action = (extension: NamedExtension) =>
      atPath('typed_config', () => choose(extension, byName, context));
    this.tree = atPath('filter_chain_matcher', () =>
      compileMatchTree(config, connectionMatchResolver(context, action)),
    );
    this.fallback = fallback;
  }

  find(connection: ConnectionInfo, filterState: FilterState): T | undefined {
    const choice = this.tree.match({ connection, filterState });
    // What cannot be told now never will be: the listener filters have run.
    return choice === undefined || choice === NOT_AVAILABLE ? this.fallback : choice.chain;
  }
}

function chainsByName<T>(chains: readonly NamedChain<T>[]): ReadonlyMap<string, T> {
  const problems = new ProblemCollector();
  const byName = new Map<string, T>();
  for (const { name, match, chain, path } of chains) {
    if (name === '')
      problems.add(`${path}.name`, 'is required: filter_chain_matcher chooses chains by their names');
    else if (byName.has(name))
      problems.add(
        `${path}.name`,
        `"${name}" is the name of a chain before it; filter_chain_matcher needs unique names`,
      );
    else byName.set(name, chain);
    if (match !== undefined)
      problems.add(
        `${path}.filter_chain_match`,
        'cannot be used with filter_chain_matcher, which chooses the chain; remove it',
      );
  }
  problems.throwIfAny();
  return byName;
}

function choose<T>(
  { name, typedConfig }: NamedExtension,
  byName: ReadonlyMap<string, T>,
  context: FactoryContext,
): Choice<T> {
  const value = typedConfig === undefined ? undefined : unpackAnyAs(typedConfig, StringValueSchema)?.value;
  if (value === undefined) {
    const found = typedConfig === undefined ? `"${name}" without a config` : anyTypeName(typedConfig);
    throw ConfigError.at(
      '',
      `expected the name of a filter chain as google.protobuf.StringValue, found ${found}`,
    );
  }
  const chain = byName.get(value);
  if (chain === undefined)
    context.warn(
      'filter_chain_matcher',
      `no filter chain is named "${value}": connections for it will be closed`,
    );
  return { chain };
}
