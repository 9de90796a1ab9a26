import { AllowListedRoutesConfigSchema } from '@dragoman/api';
import { defineInternalRedirectPredicate } from '@dragoman/core';

/** `envoy.internal_redirect_predicates.allow_listed_routes`: a redirect is followed when its target's route is in a list, by name. */
export const allowListedRoutes = defineInternalRedirectPredicate({
  name: 'envoy.internal_redirect_predicates.allow_listed_routes',
  config: AllowListedRoutesConfigSchema,
  create({ allowedRouteNames }) {
    const allowed = new Set(allowedRouteNames);
    return { accepts: (_info, targetRoute) => allowed.has(targetRoute) };
  },
});
