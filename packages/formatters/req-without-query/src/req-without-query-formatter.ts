import { ReqWithoutQuerySchema } from '@dragoman/api';
import { defineFormatter } from '@dragoman/core';

/**
 * `envoy.formatter.req_without_query`. Every format has `%REQ_WITHOUT_QUERY%`, as in Envoy: a format that lists the
 * extension takes the operator from there, so there is one reading of it.
 */
export const reqWithoutQueryFormatter = defineFormatter({
  name: 'envoy.formatter.req_without_query',
  config: ReqWithoutQuerySchema,
  create: () => ({ parse: () => undefined }),
});
