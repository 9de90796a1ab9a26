import type { RouteAction_HashPolicy, RouteAction_HashPolicy_Cookie } from '@dragoman/api';
import {
  atPath,
  ConfigError,
  compileRegex,
  type HashPolicy,
  type HashValue,
  type RequestHeaders,
  type SetCookieSink,
  type StreamInfo,
} from '@dragoman/core';
import { hashHex, rotateXor, xxHash64, xxHash64All } from '@dragoman/hashing';
import { cookieValue, queryParameter, utf8Bytes } from '@dragoman/matching';
import { isUnfitForWire } from '@dragoman/header-edits';

/** One entry of `hash_policy`. */
type HashMethod = (
  headers: RequestHeaders,
  info: StreamInfo,
  cookies: SetCookieSink | undefined,
) => HashValue | undefined;

interface TerminalMethod {
  readonly method: HashMethod;
  /** With a hash in hand, the policies after this one are not asked. */
  readonly terminal: boolean;
}

class CompiledHashPolicy implements HashPolicy {
  private readonly methods: readonly TerminalMethod[];

  constructor(methods: readonly TerminalMethod[]) {
    this.methods = methods;
  }

  hash(headers: RequestHeaders, info: StreamInfo, cookies: SetCookieSink | undefined): HashValue | undefined {
    let hash: HashValue | undefined;
    for (const { method, terminal } of this.methods) {
      const next = method(headers, info, cookies);
      if (next !== undefined) hash = hash === undefined ? next : rotateXor(hash, next);
      if (terminal && hash !== undefined) break;
    }
    return hash;
  }
}

/**
 * Compiles `hash_policy` of a route; undefined for none.
 * @throws ConfigError with a path below the route action
 */
export function compileHashPolicy(policies: readonly RouteAction_HashPolicy[]): HashPolicy | undefined {
  if (policies.length === 0) return undefined;
  const methods: TerminalMethod[] = [];
  policies.forEach((policy, i) => {
    const method = atPath(`hash_policy[${i}]`, () => compileMethod(policy));
    if (method !== undefined) methods.push({ method, terminal: policy.terminal });
  });
  return new CompiledHashPolicy(methods);
}

/** Undefined for a policy that asks for nothing (`connection_properties` without `source_ip`). */
function compileMethod({ policySpecifier: specifier }: RouteAction_HashPolicy): HashMethod | undefined {
  switch (specifier.case) {
    case 'header':
      return atPath('header', () => hashHeader(specifier.value));
    case 'cookie':
      return atPath('cookie', () => hashCookie(specifier.value));
    case 'connectionProperties':
      return specifier.value.sourceIp ? hashSourceIp : undefined;
    case 'queryParameter': {
      const name = utf8Bytes(required(specifier.value.name, 'query_parameter.name'));
      return ({ path }) => {
        const value = queryParameter(path, name);
        return value === undefined ? undefined : xxHash64(value);
      };
    }
    case 'filterState': {
      const key = required(specifier.value.key, 'filter_state.key');
      return (_headers, info) => (info.hasFilterState ? info.filterState.get(key)?.hash?.() : undefined);
    }
    default:
      throw ConfigError.at(
        '',
        'a hash policy needs one of header, cookie, connection_properties, query_parameter, filter_state',
      );
  }
}

function required(value: string, path: string): string {
  if (value === '') throw ConfigError.at(path, 'is required');
  return value;
}

/** The values of a header, in an order that does not depend on the one they came in. */
function hashHeader(
  config: Extract<RouteAction_HashPolicy['policySpecifier'], { case: 'header' }>['value'],
): HashMethod {
  const name = required(config.headerName, 'header_name').toLowerCase();
  const rewrite = config.regexRewrite;
  const replace =
    rewrite === undefined
      ? undefined
      : atPath('regex_rewrite', () => {
          const pattern = required(rewrite.pattern?.regex ?? '', 'pattern');
          const regex = atPath('pattern.regex', () => compileRegex(pattern));
          return atPath('substitution', () => regex.replacer(rewrite.substitution));
        });
  return (headers) => {
    const values = headers.getAll(name);
    if (values.length === 0) return undefined;
    const texts = replace === undefined ? [...values] : values.map(replace);
    return texts.length === 1 ? xxHash64(texts[0] as string) : xxHash64All(texts.sort());
  };
}

const hashSourceIp: HashMethod = (_headers, { remoteAddress }) =>
  remoteAddress.ip === '' ? undefined : xxHash64(remoteAddress.ip);

/**
 * The value of a cookie. With a `ttl` a request without it gets one whose value is the same for all requests of its
 * connection, so that those under way together do not contradict each other.
 */
function hashCookie(config: RouteAction_HashPolicy_Cookie): HashMethod {
  const name = utf8Bytes(required(config.name, 'name'));
  const { ttl } = config;
  const attributes = ttl === undefined ? '' : cookieAttributes(config, Number(ttl.seconds));
  return (headers, info, cookies) => {
    const given = cookieValue(headers, name);
    // One without a value is none, as in Envoy.
    if (given !== undefined && given !== '') return xxHash64(given);
    if (ttl === undefined || cookies === undefined) return undefined;
    const { remoteAddress, localAddress } = info.connection;
    const made = hashHex(xxHash64(remoteAddress.text + localAddress.text));
    cookies.addSetCookie(`${name}="${made}"${attributes}`);
    return xxHash64(made);
  };
}

/** What stands behind the value; `Max-Age` is left out of a cookie for the session. */
function cookieAttributes(config: RouteAction_HashPolicy_Cookie, ttlSeconds: number): string {
  let text = ttlSeconds === 0 ? '' : `; Max-Age=${ttlSeconds}`;
  if (config.path !== '') text += `; Path=${utf8Bytes(config.path)}`;
  for (const { name, value } of config.attributes)
    text += value === '' ? `; ${utf8Bytes(name)}` : `; ${utf8Bytes(name)}=${utf8Bytes(value)}`;
  if (isUnfitForWire(config.name + text)) throw ConfigError.at('', 'a cookie may not contain NUL, CR or LF');
  return `${text}; HttpOnly`;
}
