import { anyTypeName, resolveExtension } from '@dragoman/api';
import {
  atPath,
  ConfigError,
  type ConnectionMatchData,
  type FactoryContext,
  type HttpMatchData,
  type MatcherExtension,
  type MatchInput,
  type MatchInputExtension,
} from '@dragoman/core';
import type { MatchTreeResolver } from './compile.ts';
import type { NamedExtension } from './config.ts';

/** Why what Envoy has is not to be had here, by the type of the config. */
const REFUSED: Readonly<Record<string, string>> = {
  'xds.type.matcher.v3.CelMatcher':
    'needs an interpreter of CEL, which this proxy does not have; write the condition with string matchers',
  'xds.type.matcher.v3.HttpAttributesCelMatchInput':
    'needs an interpreter of CEL, which this proxy does not have; name what to match on with an input of its own',
  'envoy.extensions.matching.common_inputs.network.v3.NetworkNamespaceInput':
    'has nothing to match on: listeners here are in the network namespace of the process',
};

export interface HttpMatchOptions {
  /**
   * Is told the type of each input that looks at the request or connection, and throws ConfigError for one that may not
   * stand here. Inputs that look at neither are not told.
   */
  readonly checkInput?: (typeName: string) => void;
}

/**
 * For trees that match requests: finds inputs and matchers among the context's extensions.
 * @param action compiles an action of the tree
 */
export function httpMatchResolver<A>(
  context: FactoryContext,
  action: (config: NamedExtension) => A,
  options: HttpMatchOptions = {},
): MatchTreeResolver<HttpMatchData, A> {
  const make: MakeInput<HttpMatchData> = (extension, config, typeName) => {
    const { createHttp } = extension;
    if (createHttp === undefined) return undefined;
    if (options.checkInput !== undefined) options.checkInput(typeName);
    return createHttp(config, context);
  };
  return resolver(context, make, 'requests are matched', action);
}

/** For trees that choose a connection's filter chain. */
export function connectionMatchResolver<A>(
  context: FactoryContext,
  action: (config: NamedExtension) => A,
): MatchTreeResolver<ConnectionMatchData, A> {
  return resolver(
    context,
    (extension, config) => extension.createConnection?.(config, context),
    'filter chains are chosen',
    action,
  );
}

/** Undefined: the input cannot be used for such data. */
type MakeInput<D> = (
  extension: MatchInputExtension,
  config: never,
  typeName: string,
) => MatchInput<D> | undefined;

function resolver<D, A>(
  context: FactoryContext,
  make: MakeInput<D>,
  where: string,
  action: (config: NamedExtension) => A,
): MatchTreeResolver<D, A> {
  return {
    input(config) {
      const { extension, message } = find(context, config, 'input');
      return atPath('typed_config', () => {
        const typeName = extension.config?.typeName ?? '';
        const input = make(extension, message, typeName) ?? extension.createCommon?.(message, context);
        if (input === undefined)
          throw ConfigError.at('', `the input ${extension.name} cannot be used where ${where}`);
        return input;
      });
    },
    valueMatcher(config) {
      const { extension, message } = find(context, config, 'value-matcher');
      return atPath('typed_config', () => extension.create(message, context));
    },
    tree(config, parts) {
      const { extension, message } = find(context, config, 'tree');
      return atPath('typed_config', () => extension.create<D, A>(message, parts, context));
    },
    action,
  };
}

type Role = MatcherExtension['role'];

const ROLES: Readonly<Record<Role, string>> = {
  input: 'an input',
  'value-matcher': 'a matcher of values',
  tree: 'a matching tree',
};

function find<R extends Role>(
  context: FactoryContext,
  config: NamedExtension,
  role: R,
): { readonly extension: Extract<MatcherExtension, { role: R }>; readonly message: never } {
  const { name, typedConfig } = config;
  const typeName = typedConfig === undefined ? undefined : anyTypeName(typedConfig);
  if (typeName !== undefined && Object.hasOwn(REFUSED, typeName))
    throw ConfigError.at('typed_config', `${typeName} is not supported: it ${REFUSED[typeName]}`);
  const { extension, message } = resolveExtension(context.extensions, 'matchers', name, typedConfig);
  if (extension.role !== role)
    throw ConfigError.at(
      'typed_config',
      `${extension.name} is ${ROLES[extension.role]}; expected ${ROLES[role]}`,
    );
  return { extension: extension as Extract<MatcherExtension, { role: R }>, message };
}
