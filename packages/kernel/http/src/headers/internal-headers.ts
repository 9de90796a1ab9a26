import { type RequestHeaders, WELL_KNOWN_NAMES, wellKnownId } from '@dragoman/core';

/** Gone when the request is not internal: who may set them decides over retries, timeouts, traces and stats. */
const NOT_FROM_OUTSIDE: readonly number[] = [
  wellKnownId('x-envoy-retriable-status-codes'),
  wellKnownId('x-envoy-retriable-header-names'),
  wellKnownId('x-envoy-retry-on'),
  wellKnownId('x-envoy-retry-grpc-on'),
  wellKnownId('x-envoy-max-retries'),
  wellKnownId('x-envoy-upstream-alt-stat-name'),
  wellKnownId('x-envoy-upstream-rq-timeout-ms'),
  wellKnownId('x-envoy-upstream-rq-per-try-timeout-ms'),
  wellKnownId('x-envoy-upstream-rq-timeout-alt-response'),
  wellKnownId('x-envoy-expected-rq-timeout-ms'),
  wellKnownId('x-envoy-force-trace'),
  wellKnownId('x-envoy-ip-tags'),
  wellKnownId('x-envoy-hedge-on-per-try-timeout'),
];

/** Not well known, for it is hardly ever there; gone as {@link NOT_FROM_OUTSIDE} are. */
const ORIGINAL_URL = 'x-envoy-original-url';

/** Gone besides when the request comes from outside to the edge. */
const NOT_TO_THE_EDGE: readonly number[] = [
  wellKnownId('x-envoy-decorator-operation'),
  // What logs and upstreams take for the path and host before a rewrite of ours (CVE-2023-27487).
  wellKnownId('x-envoy-original-path'),
  wellKnownId('x-envoy-original-host'),
  wellKnownId('x-envoy-downstream-service-cluster'),
  wellKnownId('x-envoy-downstream-service-node'),
];

const LETTER_X = 0x78;

/** What of the connection manager's options decides over spellings with underscores. */
export interface InternalHeadersOptions {
  /** The proxy writes `x-forwarded-*` itself. */
  readonly useRemoteAddress: boolean;
  /** `x-forwarded-client-cert` of anybody goes upstream as it came. */
  readonly keepsClientCert: boolean;
}

/**
 * Removes what only internal requests may carry.
 *
 * Servers behind may read `x_envoy_retry_on` as `x-envoy-retry-on` (CGI and its heirs do). So a header that is spelled with
 * underscores, one or all, goes wherever its proper form is removed or written by this proxy.
 */
export class InternalHeaders {
  /** Proper forms whose other spellings go: of requests from inside, from outside, and from outside to the edge. */
  private readonly inside: ReadonlySet<string>;
  private readonly outside: ReadonlySet<string>;
  private readonly edge: ReadonlySet<string>;

  constructor({ useRemoteAddress, keepsClientCert }: InternalHeadersOptions) {
    const inside = ['x-envoy-internal'];
    if (!keepsClientCert) inside.push('x-forwarded-client-cert');
    if (useRemoteAddress) inside.push('x-forwarded-for', 'x-forwarded-port', 'x-forwarded-proto');
    const outside = [...inside, ...namesOf(NOT_FROM_OUTSIDE), ORIGINAL_URL];
    this.inside = new Set(inside);
    this.outside = new Set(outside);
    this.edge = new Set([
      ...outside,
      ...namesOf(NOT_TO_THE_EDGE),
      'x-envoy-external-address',
      'x-request-id',
    ]);
  }

  /** Of a request from inside: only what nobody may send but this proxy itself. */
  sanitizeInside(headers: RequestHeaders): void {
    removeHidden(headers, this.inside);
  }

  /** @param internalOnly `internal_only_headers`, in lower case */
  sanitizeOutside(headers: RequestHeaders, edge: boolean, internalOnly: readonly string[]): void {
    for (let i = 0; i < NOT_FROM_OUTSIDE.length; i++) headers.removeKnown(NOT_FROM_OUTSIDE[i] as number);
    if (edge)
      for (let i = 0; i < NOT_TO_THE_EDGE.length; i++) headers.removeKnown(NOT_TO_THE_EDGE[i] as number);
    if (internalOnly.length > 0) removeInternalOnly(headers, internalOnly);
    removeHidden(headers, edge ? this.edge : this.outside);
  }
}

function namesOf(ids: readonly number[]): readonly string[] {
  return ids.map((id) => WELL_KNOWN_NAMES[id] as string);
}

function removeInternalOnly(headers: RequestHeaders, internalOnly: readonly string[]): void {
  const { names } = headers;
  for (let i = names.length - 1; i >= 0; i--) {
    const name = names[i] as string;
    const proper = name.includes('_') ? name.replaceAll('_', '-') : name;
    if (!internalOnly.includes(proper) && !internalOnly.includes(name)) continue;
    headers.remove(name);
    // Every line of the name is gone, those before this one too.
    i = Math.min(i, names.length);
  }
}

function removeHidden(headers: RequestHeaders, hidden: ReadonlySet<string>): void {
  if (someHidden(headers, hidden)) headers.removeWhere((name) => isHidden(name, hidden));
}

/** Without a rebuild of the list in the usual case: one look at each name that begins with `x`. */
function someHidden(headers: RequestHeaders, hidden: ReadonlySet<string>): boolean {
  const { names, ids } = headers;
  for (let i = 0; i < names.length; i++)
    if ((ids[i] as number) < 0 && isHidden(names[i] as string, hidden)) return true;
  return false;
}

function isHidden(name: string, hidden: ReadonlySet<string>): boolean {
  if (name.charCodeAt(0) !== LETTER_X) return false;
  if (name === ORIGINAL_URL) return hidden.has(name);
  return name.indexOf('_') > 0 && hidden.has(name.replaceAll('_', '-'));
}
