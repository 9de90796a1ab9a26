import { EarlyHeaderMutationHeaderMutationSchema } from '@dragoman/api';
import { defineHeaderMutation } from '@dragoman/core';
import { compileMutationRules } from '@dragoman/header-edits';

/** `envoy.http.early_header_mutation.header_mutation`: adds, overwrites and removes request headers, in the order of the config. */
export const earlyHeaderMutation = defineHeaderMutation({
  name: 'envoy.http.early_header_mutation.header_mutation',
  config: EarlyHeaderMutationHeaderMutationSchema,
  create({ mutations }, { formatters }) {
    const rules = compileMutationRules(mutations, formatters, 'mutations');
    return {
      mutate(headers, info) {
        const context = rules.dynamic
          ? ({
              info,
              request: headers,
              response: undefined,
              responseTrailers: undefined,
              type: 'NotSet',
            } as const)
          : undefined;
        rules.apply(headers, context);
        return true;
      },
    };
  },
});
