import { create, type Message } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import {
  ConfigError,
  type ExtensionCategory,
  type ExtensionOf,
  type ExtensionRegistry,
} from '@dragoman/core';
import { anyTypeName, unpackAny, unpackAnyAs } from './any.ts';

/** An extension that a config names, with its config. */
export interface ResolvedExtension<C extends ExtensionCategory> {
  readonly extension: ExtensionOf<C>;
  /**
   * The config as the extension's own message: an empty one when none was given, undefined when it takes none. Typed
   * never, so that it fits every extension's `create`: its type has been checked here.
   */
  readonly message: never;
}

/**
 * Finds the extension of a `name` and `typed_config`, and unpacks the config for it.
 * @param path Where the config stands, for errors
 * @throws ConfigError for an extension that is not in the assembly (naming the package that would provide it), or a
 *   config of another type than the extension's
 */
export function resolveExtension<C extends ExtensionCategory>(
  extensions: ExtensionRegistry,
  category: C,
  name: string,
  any: Any | undefined,
  path = 'typed_config',
): ResolvedExtension<C> {
  const typeName = any === undefined ? undefined : anyTypeName(any);
  const extension = extensions.resolve(category, name, typeName, path);
  const { config: schema, configAliases = [] } = extension;
  if (schema === undefined) return { extension, message: undefined as never };
  let message: Message | undefined = any === undefined ? create(schema) : unpackAnyAs(any, schema);
  if (
    message === undefined &&
    any !== undefined &&
    configAliases.some((alias) => alias.typeName === typeName)
  ) {
    message = unpackAny(any);
  }
  if (message === undefined) throw ConfigError.at(path, `expected ${schema.typeName}, found ${typeName}`);
  return { extension, message: message as never };
}
