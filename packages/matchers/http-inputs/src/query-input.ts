import { HttpRequestQueryParamMatchInputSchema } from '@dragoman/api';
import { ConfigError, defineMatchInput, NOT_AVAILABLE } from '@dragoman/core';
import { decodedQueryParameter, utf8Bytes } from '@dragoman/matching';

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
        return headers === undefined || headers.path === ''
          ? NOT_AVAILABLE
          : decodedQueryParameter(headers.path, name);
      },
    };
  },
});
