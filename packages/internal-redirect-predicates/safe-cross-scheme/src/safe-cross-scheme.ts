import { SafeCrossSchemeConfigSchema } from '@dragoman/api';
import { defineInternalRedirectPredicate } from '@dragoman/core';

/** `envoy.internal_redirect_predicates.safe_cross_scheme`: what is meant for HTTPS is not fetched for a client that came without it. */
export const safeCrossScheme = defineInternalRedirectPredicate({
  name: 'envoy.internal_redirect_predicates.safe_cross_scheme',
  config: SafeCrossSchemeConfigSchema,
  create: () => ({
    accepts: (_info, _targetRoute, downstreamIsHttps, targetIsHttps) => downstreamIsHttps || !targetIsHttps,
  }),
});
