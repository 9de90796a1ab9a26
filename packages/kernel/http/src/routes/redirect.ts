import type { RedirectAction as RedirectConfig } from '@dragoman/api';
import { atPath, ConfigError, type RedirectAction, type RequestHeaders, wellKnownId } from '@dragoman/core';
import { utf8Bytes } from '@dragoman/matching';
import { queryStart } from '../path/normalize.ts';
import {
  applyPathRewrite,
  compileSubstitution,
  type PathRewrite,
  replacePrefix,
  type Substitution,
} from './rewrite.ts';

const ID_XFP = wellKnownId('x-forwarded-proto');

/** By the numbers of `RedirectResponseCode`. */
const STATUSES = [301, 302, 303, 307, 308] as const;

/** `redirect` of a route, compiled. */
export class CompiledRedirect implements RedirectAction, PathRewrite {
  readonly kind = 'redirect';
  readonly status: number;
  private readonly scheme: string;
  private readonly host: string;
  /** `:8443`, or empty. */
  private readonly port: string;
  private readonly path: string;
  private readonly pathHasQuery: boolean;
  private readonly prefix: string;
  private readonly matched: number;
  private readonly substitution: Substitution | undefined;
  private readonly stripQuery: boolean;

  /** @param matched length of the part of the path that the route matched on, for `prefix_rewrite`; −1: all of it */
  constructor(config: RedirectConfig, matched: number) {
    const status = STATUSES[config.responseCode];
    if (status === undefined) throw ConfigError.at('response_code', 'is no known response code');
    this.status = status;
    this.matched = matched;
    const scheme = config.schemeRewriteSpecifier;
    this.scheme = scheme.case === 'schemeRedirect' ? scheme.value : scheme.value ? 'https' : '';
    this.host = utf8Bytes(config.hostRedirect);
    if (config.portRedirect > 65_535) throw ConfigError.at('port_redirect', 'is no port');
    this.port = config.portRedirect === 0 ? '' : `:${config.portRedirect}`;
    const rewrite = config.pathRewriteSpecifier;
    this.path = rewrite.case === 'pathRedirect' ? utf8Bytes(rewrite.value) : '';
    this.pathHasQuery = this.path.includes('?');
    this.prefix = rewrite.case === 'prefixRewrite' ? utf8Bytes(rewrite.value) : '';
    this.substitution =
      rewrite.case === 'regexRewrite'
        ? atPath('regex_rewrite', () => compileSubstitution(rewrite.value))
        : undefined;
    this.stripQuery = config.stripQuery;
    for (const text of [this.scheme, this.host, this.path, this.prefix])
      if (/[\0\r\n]/.test(text)) throw ConfigError.at('', 'a redirect may not contain NUL, CR or LF');
  }

  location(headers: RequestHeaders, secure: boolean): string {
    const scheme = this.scheme !== '' ? this.scheme : schemeOf(headers, secure);
    const host = this.host !== '' ? this.host : this.requestHost(headers, scheme);
    return `${scheme}://${host}${this.port}${this.newPath(headers.path)}`;
  }

  rewritePath(headers: RequestHeaders, suppressEnvoyHeaders: boolean): void {
    if (this.substitution === undefined && this.prefix === '') return;
    applyPathRewrite(headers, this, suppressEnvoyHeaders);
  }

  /** {@link PathRewrite}: what `prefix_rewrite` or `regex_rewrite` makes of a path. */
  rewrite(path: string): string {
    const query = queryStart(path);
    if (this.substitution === undefined)
      return replacePrefix(path, this.matched < 0 ? query : this.matched, this.prefix);
    // A substitution that leaves nothing is no rewrite.
    const rewritten = this.substitution(path.slice(0, query));
    return rewritten === '' ? path : rewritten + path.slice(query);
  }

  /** The request's host, without a port that would be wrong for the new scheme or stands beside another. */
  private requestHost(headers: RequestHeaders, scheme: string): string {
    const host = headers.authority;
    const colon = host.startsWith('[') ? host.lastIndexOf(']:') + 1 || -1 : host.lastIndexOf(':');
    if (colon < 0) return host;
    if (this.port !== '') return host.slice(0, colon);
    const port = host.slice(colon);
    // By what the client used, which x-forwarded-proto knows where TLS ended before us.
    const used = headers.getKnown(ID_XFP) ?? headers.scheme;
    const usual = used === 'https' ? ':443' : used === 'http' ? ':80' : '';
    return scheme !== used && port === usual ? host.slice(0, colon) : host;
  }

  private newPath(path: string): string {
    let result: string;
    if (this.path !== '') {
      result = this.pathHasQuery ? this.path : this.path + path.slice(queryStart(path));
    } else if (this.substitution !== undefined || this.prefix !== '') {
      result = this.rewrite(path);
    } else {
      result = path;
    }
    if (!result.startsWith('/')) result = `/${result}`;
    if (this.stripQuery && !this.pathHasQuery) result = result.slice(0, queryStart(result));
    return result;
  }
}

function schemeOf(headers: RequestHeaders, secure: boolean): string {
  return headers.scheme !== '' ? headers.scheme : secure ? 'https' : 'http';
}

/** The URI of a request: where a direct response says something was made, or is. */
export function requestUri(headers: RequestHeaders, secure: boolean): string {
  const { path } = headers;
  return `${schemeOf(headers, secure)}://${headers.authority}${path.startsWith('/') ? '' : '/'}${path}`;
}

/** What `require_tls` answers plaintext with: 301 to the same place over TLS. */
export const tlsRedirect: RedirectAction = {
  kind: 'redirect',
  status: 301,
  location: (headers) => `https://${headers.authority}${headers.path}`,
};
