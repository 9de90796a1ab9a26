import { PreviousRoutesConfigSchema } from '@dragoman/api';
import { defineInternalRedirectPredicate, type FilterStateObject } from '@dragoman/core';

/** Envoy's name of the filter state; the route that redirects comes behind it. */
const STATE = 'envoy.internal_redirect.previous_routes_predicate_state.';

/** Where one route has sent a request so far. At most as many as redirects are followed. */
class PreviousRoutes implements FilterStateObject {
  readonly lifeSpan = 'request';
  readonly names = new Set<string>();
}

/** `envoy.internal_redirect_predicates.previous_routes`: a route sends a request to each other route once, so that none goes in a circle. */
export const previousRoutes = defineInternalRedirectPredicate({
  name: 'envoy.internal_redirect_predicates.previous_routes',
  config: PreviousRoutesConfigSchema,
  create(_config, _context, routeName) {
    const key = STATE + routeName;
    return {
      accepts({ filterState }, targetRoute) {
        let state = filterState.get(key);
        if (!(state instanceof PreviousRoutes)) {
          state = new PreviousRoutes();
          filterState.set(key, state);
        }
        const { names } = state as PreviousRoutes;
        if (names.has(targetRoute)) return false;
        names.add(targetRoute);
        return true;
      },
    };
  },
});
