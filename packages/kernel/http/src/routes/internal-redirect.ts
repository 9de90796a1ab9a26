import {
  type InternalRedirectPolicy as PolicyConfig,
  resolveExtension,
  type RouteAction,
} from '@dragoman/api';
import {
  atPath,
  ConfigError,
  type FactoryContext,
  type InternalRedirectPolicy,
  type InternalRedirectPredicate,
} from '@dragoman/core';

const DEFAULT_MAX_REDIRECTS = 1;
const DEFAULT_STATUS = 302;
const STATUSES: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** `HANDLE_INTERNAL_REDIRECT` of the deprecated `internal_redirect_action`. */
const HANDLE = 1;

/**
 * `internal_redirect_policy` of a route, or what came before it: `internal_redirect_action` with `max_internal_redirects`.
 * @param routeName the route's, which predicates may keep apart by
 * @throws ConfigError with a path below the route action
 */
export function compileInternalRedirect(
  action: RouteAction,
  routeName: string,
  context: FactoryContext,
): InternalRedirectPolicy | undefined {
  const { internalRedirectPolicy: policy, internalRedirectAction, maxInternalRedirects } = action;
  if (policy !== undefined)
    return atPath('internal_redirect_policy', () => compilePolicy(policy, routeName, context));
  if (internalRedirectAction !== HANDLE) return undefined;
  context.warn(
    'route.internal_redirect_action',
    'is deprecated: write internal_redirect_policy with max_internal_redirects',
  );
  return {
    maxRedirects: maxInternalRedirects ?? DEFAULT_MAX_REDIRECTS,
    statuses: new Set([DEFAULT_STATUS]),
    allowCrossScheme: false,
    headersToCopy: [],
    predicates: [],
  };
}

function compilePolicy(
  policy: PolicyConfig,
  routeName: string,
  context: FactoryContext,
): InternalRedirectPolicy {
  return {
    maxRedirects: policy.maxInternalRedirects ?? DEFAULT_MAX_REDIRECTS,
    statuses: readStatuses(policy.redirectResponseCodes, context),
    allowCrossScheme: policy.allowCrossSchemeRedirect,
    headersToCopy: policy.responseHeadersToCopy.map((name, i) => {
      const lower = name.toLowerCase();
      if (lower.startsWith(':') || lower === 'host')
        throw ConfigError.at(
          `response_headers_to_copy[${i}]`,
          ':-prefixed or host headers may not be copied',
        );
      return lower;
    }),
    predicates: policy.predicates.map((predicate, i) =>
      createPredicate(predicate, routeName, context, `predicates[${i}].typed_config`),
    ),
  };
}

/** As in Envoy, other codes than those of redirects do not count. */
function readStatuses(codes: readonly number[], context: FactoryContext): ReadonlySet<number> {
  if (codes.length === 0) return new Set([DEFAULT_STATUS]);
  for (const code of codes)
    if (!STATUSES.has(code))
      context.warn(
        'internal_redirect_policy.redirect_response_codes',
        `${code} is no redirect that can be followed, and is left out; use 301, 302, 303, 307 or 308`,
      );
  return new Set(codes.filter((code) => STATUSES.has(code)));
}

function createPredicate(
  { name, typedConfig }: PolicyConfig['predicates'][number],
  routeName: string,
  context: FactoryContext,
  path: string,
): InternalRedirectPredicate {
  const category = 'internal-redirect-predicates';
  const { extension, message } = resolveExtension(context.extensions, category, name, typedConfig, path);
  return atPath(path, () => extension.create(message, context, routeName));
}
