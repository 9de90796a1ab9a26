import { type RouteMatch, resolveExtension } from '@dragoman/api';
import {
  atPath,
  ConfigError,
  type CompiledRegex,
  compileRegex,
  type FactoryContext,
  type PathMatcher,
  type RequestHeaders,
  wellKnownId,
} from '@dragoman/core';
import { asciiLower, utf8Bytes } from '@dragoman/matching';

/** How a route matches the path. `path` is in bytes; in lower case when case does not count. */
export type PathCondition =
  | { readonly kind: 'exact' | 'prefix' | 'separated'; readonly path: string; readonly ignoreCase: boolean }
  | { readonly kind: 'regex'; readonly regex: CompiledRegex }
  | { readonly kind: 'policy'; readonly matcher: PathMatcher }
  | { readonly kind: 'connect' };

/** @throws ConfigError with a path below the match */
export function compilePathCondition(match: RouteMatch, context: FactoryContext): PathCondition {
  const ignoreCase = match.caseSensitive === false;
  const text = (path: string) => (ignoreCase ? asciiLower(utf8Bytes(path)) : utf8Bytes(path));
  const specifier = match.pathSpecifier;
  switch (specifier.case) {
    case 'prefix':
      return { kind: 'prefix', path: text(specifier.value), ignoreCase };
    case 'path':
      return { kind: 'exact', path: text(specifier.value), ignoreCase };
    case 'pathSeparatedPrefix':
      if (!/^[^?#]+[^?#/]$/.test(specifier.value))
        throw ConfigError.at('path_separated_prefix', 'may not contain "?" or "#", nor end with "/"');
      return { kind: 'separated', path: text(specifier.value), ignoreCase };
    case 'safeRegex':
      return { kind: 'regex', regex: atPath('safe_regex.regex', () => compileRegex(specifier.value.regex)) };
    case 'connectMatcher':
      return { kind: 'connect' };
    case 'pathMatchPolicy': {
      const { name, typedConfig } = specifier.value;
      return atPath('path_match_policy', () => {
        const found = resolveExtension(context.extensions, 'path-matchers', name, typedConfig);
        const { extension, message } = found;
        if (extension.role !== 'match')
          throw ConfigError.at('', `${extension.name} rewrites paths; expected one that matches them`);
        return {
          kind: 'policy',
          matcher: atPath('typed_config', () => extension.create(message, context)),
        };
      });
    }
    default:
      throw ConfigError.at(
        '',
        'a match needs one of prefix, path, safe_regex, connect_matcher, path_separated_prefix, path_match_policy',
      );
  }
}

const ID_UPGRADE = wellKnownId('upgrade');

/** What `connect_matcher` takes: CONNECT itself, and CONNECT-UDP in the form of an upgrade. */
export function isConnect(headers: RequestHeaders): boolean {
  return headers.method === 'CONNECT' || headers.getKnown(ID_UPGRADE)?.toLowerCase() === 'connect-udp';
}
