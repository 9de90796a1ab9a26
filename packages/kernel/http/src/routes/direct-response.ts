import { readFileSync } from 'node:fs';
import type { DataSource, DirectResponseAction as DirectResponseConfig } from '@dragoman/api';
import { ConfigError, type DirectResponseAction } from '@dragoman/core';

/** Envoy's `max_direct_response_body_size_bytes`, in bytes. */
export const DEFAULT_MAX_BODY_BYTES = 4096;

/**
 * Compiles `direct_response`; a file is read now.
 * @param maxBodyBytes `max_direct_response_body_size_bytes`
 * @throws ConfigError for a status outside 200 … 599, a body that cannot be read or is too large
 */
export function compileDirectResponse(
  config: DirectResponseConfig,
  maxBodyBytes: number,
): DirectResponseAction {
  const { status } = config;
  if (status < 200 || status >= 600)
    throw ConfigError.at('status', `${status} is not a status from 200 to 599`);
  const body = config.body === undefined ? undefined : readBody(config.body);
  if (body !== undefined && body.length > maxBodyBytes)
    throw ConfigError.at(
      'body',
      `response body size is ${body.length} bytes; maximum is ${maxBodyBytes} (max_direct_response_body_size_bytes)`,
    );
  return {
    kind: 'direct-response',
    status,
    body: body === undefined || body.length === 0 ? undefined : body,
  };
}

function readBody(source: DataSource): Buffer {
  const { specifier } = source;
  if (source.watchedDirectory !== undefined)
    throw ConfigError.at('body.watched_directory', 'watching the body of a direct response is not supported');
  switch (specifier.case) {
    case 'inlineString':
      return Buffer.from(specifier.value, 'utf8');
    case 'inlineBytes':
      return Buffer.from(specifier.value);
    case 'environmentVariable': {
      const value = process.env[specifier.value];
      if (value === undefined)
        throw ConfigError.at('body.environment_variable', `the variable "${specifier.value}" is not set`);
      return Buffer.from(value, 'utf8');
    }
    case 'filename':
      try {
        return readFileSync(specifier.value);
      } catch (error) {
        throw ConfigError.at(
          'body.filename',
          `cannot read "${specifier.value}": ${(error as Error).message}`,
        );
      }
    default:
      throw ConfigError.at(
        'body',
        'needs one of filename, inline_bytes, inline_string, environment_variable',
      );
  }
}
