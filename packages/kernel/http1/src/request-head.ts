import { RequestHeaders, wellKnownId } from '@dragoman/core';
import { isAuthority } from './authority.ts';
import { CR, LF, SLASH, SP, TARGET, TOKEN_LOWER } from './chars.ts';
import { Http1Details } from './details.ts';
import { INCOMPLETE, INVALID } from './field-scanner.ts';
import { listMembers, trimOws } from './lists.ts';
import { latin1, MessageHead, minorVersion, scanner } from './message-head.ts';
import { METHODS } from './methods.ts';
import type { Http1ServerOptions } from './options.ts';

const ID_CONTENT_LENGTH = wellKnownId('content-length');
const ID_UPGRADE = wellKnownId('upgrade');

/** `HTTP/1.1` and CRLF. */
const VERSION_AND_LINE_END = 10;
const ASTERISK = 0x2a;
/** No registered method is longer than 11; a custom one has this bound. */
const MAX_METHOD_LENGTH = 64;

/** Reads request heads (RFC 9112 sections 3, 5 and 6). */
export class RequestHead extends MessageHead {
  headers: RequestHeaders = new RequestHeaders();
  isHead = false;
  isConnect = false;

  /**
   * Reads a head from `start`. Nothing of it may be trusted unless an offset is answered.
   * @returns the offset behind the head, INCOMPLETE, or INVALID with {@link status}, {@link details} and {@link message}.
   */
  read(data: Buffer, start: number, end: number, options: Required<Http1ServerOptions>): number {
    this.isHead = false;
    this.isConnect = false;
    let p = start;
    const isGet = startsWithGet(data, p);
    if (isGet) p += 3;
    else while (p < end && TOKEN_LOWER[data[p] as number] !== 0) p++;
    const methodEnd = p;
    if (methodEnd - start > MAX_METHOD_LENGTH)
      return this.fail(Http1Details.invalidMethod, 'method is too long');
    if (p >= end) return INCOMPLETE;
    if (data[p] !== SP || p === start) return this.fail(Http1Details.codecError, 'invalid method');
    p++;
    const targetStart = p;
    while (p < end && TARGET[data[p] as number] !== 0) p++;
    if (p >= end) return INCOMPLETE;
    const targetEnd = p;
    if (data[p] !== SP || p === targetStart)
      return this.fail(Http1Details.invalidUrl, 'invalid request target');
    p++;
    const lineEnd = p + VERSION_AND_LINE_END;
    if (lineEnd > end) return INCOMPLETE;
    const minor = minorVersion(data, p);
    if (minor < 0 || data[p + 8] !== CR || data[p + 9] !== LF) {
      return this.fail(Http1Details.codecError, 'invalid version');
    }
    const headEnd = scanner.scan(data, lineEnd, end, options.maxHeaderCount);
    if (headEnd < 0) return headEnd === INCOMPLETE ? INCOMPLETE : this.failScan();
    if (headEnd - start > options.maxHeaderBytes) return headEnd;

    this.reset();
    this.http10 = minor === 0;
    const text = latin1(data, start, headEnd);
    const methodText = isGet ? 'GET' : text.substring(0, methodEnd - start);
    const method = isGet ? 'GET' : METHODS.get(methodText);
    if (method === undefined && !options.allowCustomMethods) {
      return this.fail(Http1Details.codecError, 'unknown method');
    }
    const headers = new RequestHeaders();
    this.headers = headers;
    headers.method = method ?? methodText;
    this.isHead = method === 'HEAD';
    this.isConnect = method === 'CONNECT';
    const drop = options.headersWithUnderscores !== 'allow';
    if (this.fill(headers, text, start, false, drop) < 0) return this.failed();
    if (this.underscores) {
      const action = options.headersWithUnderscores === 'drop' ? 'drop' : 'reject';
      options.onUnderscore(action);
      if (action === 'reject') {
        return this.fail(Http1Details.unexpectedUnderscore, 'underscore in a header name');
      }
    }
    if (this.http10 && !options.acceptHttp10) {
      return this.fail(Http1Details.lowVersion, 'HTTP/1.0 is not accepted', 426);
    }
    if (this.upgrade) this.dropIgnored(headers, options.ignoreUpgrade);
    if (this.checkFraming(options) < 0) return this.failed();
    const target = text.substring(targetStart - start, targetEnd - start);
    if (this.checkTarget(headers, target, options) < 0) return this.failed();
    if (this.upgrade) this.checkUpgrade(headers);
    const formatter = options.headerFormatter();
    if (formatter !== undefined) {
      headers.nameFormatter = formatter;
      this.rememberNames(formatter, text, start);
    }
    return headEnd;
  }

  private failed(): number {
    return INVALID;
  }

  private checkFraming(options: Required<Http1ServerOptions>): number {
    if (this.chunked) {
      if (this.http10)
        return this.fail(Http1Details.invalidTransferEncoding, 'Transfer-Encoding in HTTP/1.0');
      if (this.contentLength >= 0) {
        if (!options.allowChunkedLength) {
          return this.fail(Http1Details.contentLengthAndChunked, 'Content-Length with Transfer-Encoding');
        }
        this.headers.removeKnown(ID_CONTENT_LENGTH);
        this.contentLength = -1;
        this.close = true;
      }
    }
    if (this.chunked || this.contentLength > 0) {
      // RFC 9110 section 9.3.1: implementations differ on whether such a request has a body at all.
      if (this.isHead || this.headers.method === 'GET') this.close = true;
      if (this.isConnect) return this.fail(Http1Details.bodyDisallowed, 'CONNECT with a body');
      if (this.upgrade && this.connectionUpgrade && !this.http10) {
        this.dropH2c(this.headers);
        if (this.upgrade) return this.fail(Http1Details.bodyDisallowed, 'upgrade with a body');
      }
    }
    return 0;
  }

  private checkTarget(
    headers: RequestHeaders,
    target: string,
    options: Required<Http1ServerOptions>,
  ): number {
    let host = this.host;
    if (host === undefined) {
      if (!this.http10) return this.fail(Http1Details.missingHost, 'Host is missing');
      host = options.defaultHostForHttp10;
      if (host === '') return this.fail(Http1Details.missingHost, 'Host is missing');
    } else if (!isAuthority(host, false)) {
      return this.fail(Http1Details.invalidAuthority, 'invalid Host');
    }
    headers.authority = host;
    const first = target.charCodeAt(0);
    if (this.isConnect) {
      if (!isAuthority(target, true))
        return this.fail(Http1Details.invalidUrl, 'CONNECT without host and port');
      headers.authority = target;
      return 0;
    }
    if (first === SLASH) {
      headers.path = target;
      return 0;
    }
    if (first === ASTERISK && target.length === 1) {
      if (headers.method !== 'OPTIONS') return this.fail(Http1Details.invalidUrl, '* without OPTIONS');
      headers.path = target;
      return 0;
    }
    return this.readAbsolute(headers, target, options);
  }

  /** RFC 9112 section 3.2.2: the target's authority takes Host's place. */
  private readAbsolute(
    headers: RequestHeaders,
    target: string,
    options: Required<Http1ServerOptions>,
  ): number {
    const schemeEnd = target.indexOf('://');
    const scheme = schemeEnd > 0 && schemeEnd < 6 ? target.substring(0, schemeEnd).toLowerCase() : '';
    if (scheme !== 'http' && scheme !== 'https')
      return this.fail(Http1Details.invalidUrl, 'invalid request target');
    if (!options.allowAbsoluteUrl) {
      return this.fail(Http1Details.absolutePath, 'absolute-form targets are not accepted', 404);
    }
    const authorityStart = schemeEnd + 3;
    let authorityEnd = authorityStart;
    while (authorityEnd < target.length && !isAuthorityEnd(target.charCodeAt(authorityEnd))) authorityEnd++;
    const authority = target.substring(authorityStart, authorityEnd);
    if (!isAuthority(authority, false))
      return this.fail(Http1Details.invalidUrl, 'invalid authority in the target');
    const rest = target.substring(authorityEnd);
    headers.scheme = scheme;
    headers.authority = authority;
    if (rest === '') headers.path = headers.method === 'OPTIONS' ? '*' : '/';
    else headers.path = rest.charCodeAt(0) === SLASH ? rest : '/' + rest;
    return 0;
  }

  /** An upgrade counts when Connection names it, and never in HTTP/1.0 (RFC 9110 section 7.8). */
  private checkUpgrade(headers: RequestHeaders): void {
    this.dropH2c(headers);
    if (this.connectionUpgrade && !this.http10 && !this.isConnect) return;
    this.upgrade = false;
    headers.removeKnown(ID_UPGRADE);
  }

  /** Values that are to be ignored are not there; without any left there is no upgrade. */
  private dropIgnored(headers: RequestHeaders, ignored: (value: string) => boolean): void {
    const values = (headers.getJoined('upgrade') ?? '').split(',').map(trimOws);
    const kept = values.filter((value) => !ignored(value));
    if (kept.length === values.length) return;
    if (kept.length > 0) headers.setKnown(ID_UPGRADE, kept.join(','));
    else {
      this.upgrade = false;
      headers.removeKnown(ID_UPGRADE);
    }
  }

  /** `Upgrade: h2c` is ignored, as Envoy does: HTTP/2 in clear text begins with prior knowledge only. */
  private dropH2c(headers: RequestHeaders): void {
    const tokens = listMembers(headers.getJoined('upgrade') ?? '');
    const kept = tokens.filter((token) => token !== '' && token !== 'h2c');
    if (kept.length === tokens.length) return;
    headers.remove('http2-settings');
    if (kept.length > 0) headers.setKnown(ID_UPGRADE, kept.join(', '));
    else {
      this.upgrade = false;
      headers.removeKnown(ID_UPGRADE);
    }
  }
}

/** The method of most requests, without a string or a look-up. False also when the bytes end before it is clear. */
function startsWithGet(data: Buffer, p: number): boolean {
  return data[p] === 0x47 && data[p + 1] === 0x45 && data[p + 2] === 0x54 && data[p + 3] === SP;
}

function isAuthorityEnd(code: number): boolean {
  return code === SLASH || code === 0x3f || code === 0x23;
}
