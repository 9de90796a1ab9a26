import {
  HttpRequestHeaderMatchInputSchema,
  HttpRequestTrailerMatchInputSchema,
  HttpResponseHeaderMatchInputSchema,
  HttpResponseTrailerMatchInputSchema,
} from '@dragoman/api';
import {
  ConfigError,
  defineMatchInput,
  type HeaderMap,
  type HttpMatchData,
  type MatchInput,
  NOT_AVAILABLE,
} from '@dragoman/core';

/** A request header; its lines joined with commas. */
export const requestHeadersInput = defineMatchInput({
  name: 'envoy.matching.inputs.request_headers',
  config: HttpRequestHeaderMatchInputSchema,
  createHttp: ({ headerName }) => headerInput(headerName, (data) => data.requestHeaders),
});

/** A trailer of the request. */
export const requestTrailersInput = defineMatchInput({
  name: 'envoy.matching.inputs.request_trailers',
  config: HttpRequestTrailerMatchInputSchema,
  createHttp: ({ headerName }) => headerInput(headerName, (data) => data.requestTrailers),
});

/** A response header. */
export const responseHeadersInput = defineMatchInput({
  name: 'envoy.matching.inputs.response_headers',
  config: HttpResponseHeaderMatchInputSchema,
  createHttp: ({ headerName }) => headerInput(headerName, (data) => data.responseHeaders),
});

/** A trailer of the response. */
export const responseTrailersInput = defineMatchInput({
  name: 'envoy.matching.inputs.response_trailers',
  config: HttpResponseTrailerMatchInputSchema,
  createHttp: ({ headerName }) => headerInput(headerName, (data) => data.responseTrailers),
});

function headerInput(
  headerName: string,
  headersOf: (data: HttpMatchData) => HeaderMap | undefined,
): MatchInput<HttpMatchData> {
  if (headerName === '') throw ConfigError.at('header_name', 'is required');
  const name = headerName.toLowerCase();
  return {
    kind: 'text',
    get(data) {
      const headers = headersOf(data);
      return headers === undefined ? NOT_AVAILABLE : headers.getJoined(name);
    },
  };
}
