import type { RouteAction } from '@dragoman/api';
import { atPath, ConfigError, type FactoryContext } from '@dragoman/core';
import type { PathCondition } from './path-condition.ts';
import {
  compilePolicyRewrite,
  type HostRewrite,
  hostFromHeader,
  hostFromPath,
  literalHost,
  type PathRewrite,
  PrefixRewrite,
  RegexRewrite,
} from './rewrite.ts';

/** How much of the path `prefix_rewrite` replaces: what a prefix or a path matched, −1 for all of it. */
export function matchedLength(path: PathCondition): number {
  return 'path' in path ? path.path.length : -1;
}

/**
 * What changes the path of requests that a route forwards; undefined: nothing does.
 * @throws ConfigError with a path below the route action
 */
export function pathRewrite(
  action: RouteAction,
  path: PathCondition,
  context: FactoryContext,
): PathRewrite | undefined {
  const { prefixRewrite: prefix, regexRewrite: regex, pathRewritePolicy: policy } = action;
  if (Number(prefix !== '') + Number(regex !== undefined) + Number(policy !== undefined) > 1)
    throw ConfigError.at('', 'only one of prefix_rewrite, regex_rewrite and path_rewrite_policy may be set');
  if (prefix !== '') {
    if (path.kind === 'policy')
      throw ConfigError.at(
        'prefix_rewrite',
        'cannot be used with path_match_policy, which matches no prefix',
      );
    return new PrefixRewrite(prefix, matchedLength(path));
  }
  if (regex !== undefined) return atPath('regex_rewrite', () => new RegexRewrite(regex));
  if (policy === undefined) return undefined;
  const matcher = path.kind === 'policy' ? path.matcher : undefined;
  return atPath('path_rewrite_policy', () => compilePolicyRewrite(policy, matcher, context));
}

/** What changes their authority, but for `auto_host_rewrite`. @throws ConfigError with a path below the route action */
export function hostRewrite(action: RouteAction): HostRewrite | undefined {
  const specifier = action.hostRewriteSpecifier;
  switch (specifier.case) {
    case 'hostRewriteLiteral':
      return specifier.value === '' ? undefined : literalHost(specifier.value);
    case 'hostRewriteHeader':
      return specifier.value === '' ? undefined : hostFromHeader(specifier.value);
    case 'hostRewritePathRegex':
      return atPath('host_rewrite_path_regex', () => hostFromPath(specifier.value));
    default:
      return undefined;
  }
}
