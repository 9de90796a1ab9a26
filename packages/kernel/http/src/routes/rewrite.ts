import { type RegexMatchAndSubstitute, resolveExtension, type TypedExtensionConfig } from '@dragoman/api';
import {
  atPath,
  ConfigError,
  compileRegex,
  type FactoryContext,
  type PathMatcher,
  type PathRewriter,
  type RequestHeaders,
  wellKnownId,
} from '@dragoman/core';
import { utf8Bytes } from '@dragoman/matching';
import { pathEnd } from '../path/normalize.ts';

const ID_ORIGINAL_PATH = wellKnownId('x-envoy-original-path');

/** Replaces every match in a string of bytes. */
export type Substitution = (value: string) => string;

/** Bytes that would break the request line or a header: a rewrite that makes one is not done. */
const UNFIT = /[\0\r\n]/;

/**
 * Compiles a `RegexMatchAndSubstitute`: every match is replaced, `\1` … `\9` are groups, `\0` the match.
 * @throws ConfigError for a broken pattern, or a substitution that names a group the pattern does not have
 */
export function compileSubstitution(config: RegexMatchAndSubstitute): Substitution {
  const pattern = config.pattern?.regex;
  if (pattern === undefined || pattern === '') throw ConfigError.at('pattern', 'is required');
  const regex = atPath('pattern.regex', () => compileRegex(pattern));
  const replace = atPath('substitution', () => regex.replacer(config.substitution));
  return (value) => {
    const replaced = replace(value);
    return UNFIT.test(replaced) ? value : replaced;
  };
}

/** `path` with its first `matched` characters replaced. */
export function replacePrefix(path: string, matched: number, prefix: string): string {
  return prefix + path.slice(matched);
}

/** Changes `:path`; the query stays. */
export interface PathRewrite {
  rewrite(path: string): string;
}

/** `prefix_rewrite`: replaces what the route matched on. */
export class PrefixRewrite implements PathRewrite {
  private readonly prefix: string;
  private readonly matched: number;

  /** @param matched how many characters the route matched on; −1: the whole path before the query */
  constructor(prefix: string, matched: number) {
    if (UNFIT.test(prefix)) throw ConfigError.at('prefix_rewrite', 'may not contain NUL, CR or LF');
    this.prefix = utf8Bytes(prefix);
    this.matched = matched;
  }

  rewrite(path: string): string {
    return replacePrefix(path, this.matched < 0 ? pathEnd(path) : this.matched, this.prefix);
  }
}

/** `regex_rewrite`: replaces every match in the path before the query. */
export class RegexRewrite implements PathRewrite {
  private readonly substitute: Substitution;

  constructor(config: RegexMatchAndSubstitute) {
    this.substitute = compileSubstitution(config);
  }

  rewrite(path: string): string {
    const end = pathEnd(path);
    return this.substitute(path.slice(0, end)) + path.slice(end);
  }
}

/** `path_rewrite_policy`: what an extension makes of the path before the query. One that it cannot rewrite stays. */
class PolicyRewrite implements PathRewrite {
  private readonly rewriter: PathRewriter;

  constructor(rewriter: PathRewriter) {
    this.rewriter = rewriter;
  }

  rewrite(path: string): string {
    const end = pathEnd(path);
    const rewritten = this.rewriter.rewrite(path.slice(0, end));
    return rewritten === undefined || UNFIT.test(rewritten) ? path : rewritten + path.slice(end);
  }
}

/**
 * @param matcher of the route's `path_match_policy`
 * @throws ConfigError with a path below the policy
 */
export function compilePolicyRewrite(
  { name, typedConfig }: TypedExtensionConfig,
  matcher: PathMatcher | undefined,
  context: FactoryContext,
): PathRewrite {
  const { extension, message } = resolveExtension(context.extensions, 'path-matchers', name, typedConfig);
  if (extension.role !== 'rewrite')
    throw ConfigError.at('', `${extension.name} matches paths; expected one that rewrites them`);
  return new PolicyRewrite(atPath('typed_config', () => extension.create(message, matcher, context)));
}

/** Sets `:path`, and what it was in `x-envoy-original-path` unless Envoy's headers are suppressed. */
export function applyPathRewrite(
  headers: RequestHeaders,
  rewrite: PathRewrite,
  suppressEnvoyHeaders: boolean,
): void {
  if (!suppressEnvoyHeaders) headers.setKnown(ID_ORIGINAL_PATH, headers.path);
  headers.path = rewrite.rewrite(headers.path);
}

/** The new `:authority` for a request; undefined leaves it. */
export type HostRewrite = (headers: RequestHeaders) => string | undefined;

/** `host_rewrite_literal`. */
export function literalHost(host: string): HostRewrite {
  if (UNFIT.test(host)) throw ConfigError.at('host_rewrite_literal', 'may not contain NUL, CR or LF');
  const bytes = utf8Bytes(host);
  return () => bytes;
}

/** `host_rewrite_header`: the first value of the header counts, an empty one does nothing. */
export function hostFromHeader(header: string): HostRewrite {
  const name = header.toLowerCase();
  return (headers) => {
    const value = headers.get(name);
    return value === '' ? undefined : value;
  };
}

/** `host_rewrite_path_regex`: what the substitution makes of the path before the query. */
export function hostFromPath(config: RegexMatchAndSubstitute): HostRewrite {
  const substitute = compileSubstitution(config);
  return (headers) => substitute(headers.path.slice(0, pathEnd(headers.path)));
}
