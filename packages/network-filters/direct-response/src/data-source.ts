import { readFileSync } from 'node:fs';
import type { DataSource } from '@dragoman/api';
import { ConfigError } from '@dragoman/core';

/**
 * Reads `response` now; a file is not looked at again.
 * @throws ConfigError at the field that cannot be read
 */
export function readDataSource(source: DataSource): Buffer {
  const { specifier } = source;
  if (source.watchedDirectory !== undefined) {
    throw ConfigError.at('watched_directory', 'watching the file is not supported; remove it');
  }
  switch (specifier.case) {
    case 'inlineString':
      return Buffer.from(specifier.value, 'utf8');
    case 'inlineBytes':
      return Buffer.from(specifier.value);
    case 'environmentVariable': {
      const value = process.env[specifier.value];
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
