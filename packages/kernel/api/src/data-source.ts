import { readFileSync } from 'node:fs';
import { ConfigError } from '@dragoman/core';
import type { DataSource } from './gen/index.ts';

/**
 * Reads a `core.v3.DataSource` now: a file is not looked at again.
 * @param env For `environment_variable`; default: the process's
 * @throws ConfigError at the field that cannot be read
 */
export function readDataSource(
  source: DataSource,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Buffer {
  const { specifier } = source;
  if (source.watchedDirectory !== undefined) {
    throw ConfigError.at(
      'watched_directory',
      'this is read once: watching the file is not supported; remove it',
    );
  }
  switch (specifier.case) {
    case 'inlineString':
      return Buffer.from(specifier.value, 'utf8');
    case 'inlineBytes':
      return Buffer.from(specifier.value);
    case 'environmentVariable': {
      const value = env[specifier.value];
      if (value === undefined) {
        throw ConfigError.at('environment_variable', `the variable "${specifier.value}" is not set`);
      }
      return Buffer.from(value, 'utf8');
    }
    case 'filename':
      try {
        return readFileSync(specifier.value);
      } catch (error) {
        throw ConfigError.at('filename', `cannot read "${specifier.value}": ${(error as Error).message}`);
      }
    default:
      throw ConfigError.at('', 'needs one of filename, inline_bytes, inline_string, environment_variable');
  }
}
