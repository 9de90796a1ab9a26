import { type Bootstrap, type ConfigSource, type LoadedConfig, loadConfig } from '@dragoman/api';
import { ConfigError, type Extension, formatProblem, type Logger } from '@dragoman/core';
import { escapeControls } from '@dragoman/server';
import type { Flags } from './flags.ts';

/** How errors in `--config-yaml` name their place. */
const YAML_FLAG = '--config-yaml';

/** The configuration that the command line names. @throws ConfigError with every problem */
export function loadFromFlags(flags: Flags): LoadedConfig<Bootstrap> {
  const { configPath, configYaml, allowUnknownStaticFields } = flags;
  const yaml: ConfigSource | undefined =
    configYaml === undefined || configYaml === ''
      ? undefined
      : { text: configYaml, format: 'yaml', file: YAML_FLAG };
  if (configPath === undefined || configPath === '') {
    if (yaml !== undefined) return loadConfig(yaml, { allowUnknownStaticFields });
    throw ConfigError.at('', 'no configuration: give one with -c <path> or --config-yaml <yaml>');
  }
  return yaml === undefined
    ? loadConfig({ file: configPath }, { allowUnknownStaticFields })
    : loadConfig({ file: configPath }, { allowUnknownStaticFields, overlay: yaml });
}

/** What `--mode validate` and errors call the configuration. */
export function configName({ configPath }: Flags): string {
  return configPath === undefined || configPath === '' ? YAML_FLAG : configPath;
}

/** What is deprecated or ignored, as warnings in the log. */
export function logWarnings(config: LoadedConfig<Bootstrap>, flags: Flags, logger: Logger): void {
  for (const problem of config.warnings) {
    if (flags.skipDeprecatedLogs && problem.message.endsWith('is deprecated')) continue;
    logger.warn(formatProblem(problem));
  }
}

/** Every problem on a line of its own. */
export function problemLines(error: ConfigError): string[] {
  return error.problems.map((problem) => escapeControls(formatProblem(problem)));
}

/**
 * The names of the extensions that `--disable-extensions` turns off. Envoy's categories are not looked at: the
 * names of its extensions are unique without.
 */
export function disabledNames(
  disabled: readonly string[],
  extensions: readonly Extension[],
  logger: Logger,
): string[] {
  const known = new Set(extensions.map(({ name }) => name));
  const names: string[] = [];
  for (const written of disabled) {
    const name = written.slice(written.indexOf('/') + 1);
    if (known.has(name)) {
      names.push(name);
      logger.info(`disabled extension '${written}'`);
    } else logger.warn(`failed to disable unknown extension '${written}'`);
  }
  return names;
}
