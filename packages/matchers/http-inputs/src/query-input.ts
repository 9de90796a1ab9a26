import { HttpRequestQueryParamMatchInputSchema } from '@dragoman/api';
import { ConfigError, defineMatchInput, NOT_AVAILABLE } from '@dragoman/core';
import { utf8Bytes } from '@dragoman/matching';

/** The first value of a query parameter, name and value decoded. */
export const queryParamInput = defineMatchInput({
  name: 'envoy.matching.inputs.query_params',
  config: HttpRequestQueryParamMatchInputSchema,
  createHttp(config) {
    if (config.queryParam === '') throw ConfigError.at('query_param', 'is required');
    const name = utf8Bytes(config.queryParam);
    return {
      kind: 'text',
      get({ requestHeaders: headers }) {
        // A CONNECT has no path, and so no query that could come.
        return headers === undefined || headers.path === '' ? NOT_AVAILABLE : parameter(headers.path, name);
      },
    };
  },
});

function parameter(path: string, name: string): string | undefined {
  const begin = path.indexOf('?');
  if (begin < 0) return undefined;
  for (const part of path.slice(begin + 1).split('&')) {
    const equals = part.indexOf('=');
    if (decode(equals < 0 ? part : part.slice(0, equals)) !== name) continue;
    return equals < 0 ? '' : decode(part.slice(equals + 1));
  }
  return undefined;
}

/** What stays as it came, because it cannot stand in a URL plainly. */
const NOT_DECODED = /[^!#-;=?-[\]_-z~]/;

/**
 * Percent-decoding as Envoy decodes query parameters. A percent sign that begins no escape goes, unless it is among the
 * last two characters.
 */
function decode(text: string): string {
  if (!text.includes('%')) return text;
  return text.replace(/%(?:([0-9a-fA-F]{2})|(?=..))/gs, (whole, hex: string | undefined) => {
    if (hex === undefined) return '';
    const character = String.fromCharCode(Number.parseInt(hex, 16));
    return NOT_DECODED.test(character) ? whole : character;
  });
}
