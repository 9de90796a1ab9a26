import { type HeaderValue, HeaderValueSchema } from '@dragoman/api';
import { ConfigError, refuseUnsupported } from '@dragoman/core';

/** What the filter works with: the config, checked and compiled. */
export interface Options {
  /** In lower case. */
  readonly name: string;
  readonly value: string;
}

const SUPPORTED: ReadonlySet<string> = new Set(['key', 'value']);
/** RFC 9110, section 5.6.2: token. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** RFC 9110, section 5.5: what a field value must not hold. */
const CONTROL = /[\0-\x08\x0a-\x1f\x7f]/;

/** @throws ConfigError with a path below the filter's config */
export function parseConfig(config: HeaderValue): Options {
  refuseUnsupported(config, HeaderValueSchema, SUPPORTED);
  if (!TOKEN.test(config.key)) throw ConfigError.at('key', `${JSON.stringify(config.key)} is no header name`);
  if (CONTROL.test(config.value)) throw ConfigError.at('value', 'a header value holds no control characters');
  return { name: config.key.toLowerCase(), value: config.value };
}
