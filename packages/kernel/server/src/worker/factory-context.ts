import { createFormatterFactory } from '@dragoman/access-log';
import { type Any, resolveExtension } from '@dragoman/api';
import {
  atPath,
  type Extension,
  ExtensionRegistry,
  type FactoryContext,
  type FormatterExtension,
} from '@dragoman/core';

/** What a thread makes its {@link FactoryContext} of. */
export type ContextParts = Omit<FactoryContext, 'formatters' | 'extensions'> & {
  readonly extensions: readonly Extension[];
  /** Names, or `category/name`, of those to leave out. */
  readonly disabledExtensions: readonly string[];
};

/** What every factory on this thread may use. @throws Error for a list of extensions that is none */
export function createFactoryContext({
  extensions,
  disabledExtensions,
  ...parts
}: ContextParts): FactoryContext {
  const { localInfo, clock, random } = parts;
  const context: FactoryContext = {
    ...parts,
    extensions: new ExtensionRegistry(enabledExtensions(extensions, disabledExtensions)),
    formatters: createFormatterFactory({
      localInfo,
      clock,
      random,
      createCommand: (config) => createFormatterCommand(config, context),
    }),
  };
  return context;
}

function enabledExtensions(all: readonly Extension[], disabled: readonly string[]): readonly Extension[] {
  if (disabled.length === 0) return all;
  const off = new Set(disabled);
  return all.filter(({ name, category }) => !off.has(name) && !off.has(`${category}/${name}`));
}

function createFormatterCommand(
  config: { readonly name: string; readonly typedConfig?: Any | undefined },
  context: FactoryContext,
): ReturnType<FormatterExtension['create']> {
  const { extension, message } = resolveExtension(
    context.extensions,
    'formatters',
    config.name,
    config.typedConfig,
  );
  return atPath('typed_config', () => extension.create(message, context));
}
