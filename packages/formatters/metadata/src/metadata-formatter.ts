import { FormatterMetadataSchema } from '@dragoman/api';
import { defineFormatter } from '@dragoman/core';

/**
 * `envoy.formatter.metadata`. Every format has `%METADATA%`, as in Envoy: a format that lists the extension takes the
 * operator from there, so there is one reading of it.
 */
export const metadataFormatter = defineFormatter({
  name: 'envoy.formatter.metadata',
  config: FormatterMetadataSchema,
  create: () => ({ parse: () => undefined }),
});
