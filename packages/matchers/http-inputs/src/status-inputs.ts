import {
  HttpResponseStatusCodeClassMatchInputSchema,
  HttpResponseStatusCodeMatchInputSchema,
} from '@dragoman/api';
import { defineMatchInput, type HttpMatchData, type MatchInput, NOT_AVAILABLE } from '@dragoman/core';

/** The status of the response, such as `404`. */
export const statusCodeInput = defineMatchInput({
  name: 'envoy.matching.inputs.status_code_input',
  config: HttpResponseStatusCodeMatchInputSchema,
  createHttp: () => statusInput((status) => String(status)),
});

/** The class of the response's status: `1xx` … `5xx`; nothing for another. */
export const statusCodeClassInput = defineMatchInput({
  name: 'envoy.matching.inputs.status_code_class_input',
  config: HttpResponseStatusCodeClassMatchInputSchema,
  createHttp: () =>
    statusInput((status) => (status >= 100 && status < 600 ? `${Math.floor(status / 100)}xx` : undefined)),
});

function statusInput(textOf: (status: number) => string | undefined): MatchInput<HttpMatchData> {
  return {
    kind: 'text',
    get({ responseHeaders: headers }) {
      if (headers === undefined) return NOT_AVAILABLE;
      return headers.status === 0 ? undefined : textOf(headers.status);
    },
  };
}
