import { type DirectResponseAction as DirectResponseConfig, readDataSource } from '@dragoman/api';
import { atPath, ConfigError, type DirectResponseAction } from '@dragoman/core';

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
  const { body: source } = config;
  const body = source === undefined ? undefined : atPath('body', () => readDataSource(source));
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
