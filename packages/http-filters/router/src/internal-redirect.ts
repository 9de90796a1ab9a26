import {
  type FilterStateObject,
  type InternalRedirectPolicy,
  type RequestHeaders,
  type ResponseHeaders,
  type StreamInfo,
  type TerminalHttpStream,
  wellKnownId,
} from '@dragoman/core';
import { NO_CHUNKS } from './body-pieces.ts';
import type { RedirectRefusal, RouterStats } from './config.ts';

const ID_LOCATION = wellKnownId('location');
const ID_CONTENT_LENGTH = wellKnownId('content-length');
const ORIGINAL_URL = 'x-envoy-original-url';
const SEE_OTHER = 303;
/** Envoy's name of the count of redirects that were followed. */
const COUNT = 'num_internal_redirects';

/**
 * A whole URL: scheme, authority, path with query, fragment. The location is the upstream's word: what may not stand in a
 * request line does not match.
 */
const URL_PARTS =
  /^(https?):\/\/((?:\[[\da-f:.]+\]|[\w.~-]+)(?::\d{1,5})?)((?:[/?][!-"$-~]*)?)(?:#[!-~]*)?$/i;

interface Target {
  readonly scheme: string;
  readonly authority: string;
  readonly path: string;
}

class RedirectCount implements FilterStateObject {
  readonly lifeSpan = 'request';
  value = 0;

  toText(): string {
    return String(this.value);
  }
}

/**
 * Follows a redirect of an upstream, where the policy and the request allow it. The caller has looked at the status.
 *
 * @param body the request's; undefined when it is incomplete or was not kept
 * @returns false when the redirect is to go to the client
 */
export function followRedirect(
  policy: InternalRedirectPolicy,
  stream: TerminalHttpStream,
  redirect: ResponseHeaders,
  body: readonly Buffer[] | undefined,
  stats: RouterStats,
): boolean {
  const location = redirect.getKnown(ID_LOCATION);
  if (body === undefined || location === undefined || stream.requestHeaders.path === '') return false;
  const request = targetRequest(policy, stream, redirect, location);
  if (typeof request === 'string') {
    stats.passthrough[request].inc();
    return false;
  }
  const count = redirectCount(stream.info);
  count.value++;
  const kept = seesOther(request, redirect) ? NO_CHUNKS : body;
  if (kept !== body) becomeGet(request);
  if (stream.restart(request, redirect, kept)) return true;
  count.value--;
  return false;
}

/** The request that a redirect asks for, or why it is not made. */
function targetRequest(
  policy: InternalRedirectPolicy,
  stream: TerminalHttpStream,
  redirect: ResponseHeaders,
  location: string,
): RequestHeaders | RedirectRefusal {
  const { info, requestHeaders } = stream;
  const target = parse(location);
  if (target === undefined) return 'badLocation';
  // Whatever a proxy before this one has said of the client.
  const isHttps = requestHeaders.scheme !== 'http' && info.connection.tls !== undefined;
  const targetIsHttps = target.scheme !== 'http';
  if (!policy.allowCrossScheme && isHttps !== targetIsHttps) return 'unsafeScheme';
  if (redirectCount(info).value >= policy.maxRedirects) return 'tooManyRedirects';
  const request = requestHeaders.clone();
  copyHeaders(policy.headersToCopy, redirect, request);
  request.scheme = target.scheme;
  request.authority = target.authority;
  request.path = target.path;
  const route = stream.findRoute(request);
  if (route === undefined) return 'noRoute';
  for (const predicate of policy.predicates)
    if (!predicate.accepts(info, route.routeName, isHttps, targetIsHttps)) return 'predicate';
  const { authority, path } = requestHeaders;
  request.set(ORIGINAL_URL, `${isHttps ? 'https' : 'http'}://${authority}${path}`);
  return request;
}

function parse(location: string): Target | undefined {
  const parts = URL_PARTS.exec(location);
  if (parts === null) return undefined;
  const [, scheme = '', authority = '', rest = ''] = parts;
  return { scheme: scheme.toLowerCase(), authority, path: rest.startsWith('/') ? rest : `/${rest}` };
}

/** A header that the redirect does not have is gone from the request, too. */
function copyHeaders(names: readonly string[], redirect: ResponseHeaders, request: RequestHeaders): void {
  for (const name of names) {
    request.remove(name);
    for (const value of redirect.getAll(name)) request.append(name, value);
  }
}

/** 303 is to be followed with GET (RFC 9110 section 15.4.4). */
function seesOther({ method }: RequestHeaders, { status }: ResponseHeaders): boolean {
  return status === SEE_OTHER && method !== 'GET' && method !== 'HEAD';
}

function becomeGet(request: RequestHeaders): void {
  request.method = 'GET';
  request.removeKnown(ID_CONTENT_LENGTH);
}

function redirectCount({ filterState }: StreamInfo): RedirectCount {
  const found = filterState.get(COUNT);
  if (found instanceof RedirectCount) return found;
  const made = new RedirectCount();
  filterState.set(COUNT, made);
  return made;
}
