import { type HeaderMap, type HeaderNameFormatter, NOT_WELL_KNOWN, type Trailers } from '@dragoman/core';
import { Http1Details } from './details.ts';
import { FieldScanner, INVALID, MARKS, UNKNOWN_MIXED } from './field-scanner.ts';
import { listMembers } from './lists.ts';
import { NAME_IDS, NAME_ROLES, NAMES, NameRole } from './names.ts';

/** `latin1Slice` is what `toString('latin1')` ends in; called directly it is 40 ns cheaper. Node's types leave it out. */
interface Latin1Source {
  latin1Slice(start: number, end: number): string;
}

/** The bytes as text, one character each. */
export function latin1(data: Buffer, start: number, end: number): string {
  return (data as unknown as Latin1Source).latin1Slice(start, end);
}

/** The scanner of this thread. */
export const scanner = new FieldScanner();

/** 15 digits are below 2⁵³ whatever they are. Leading zeros count too. */
const MAX_LENGTH_DIGITS = 15;

/** A Content-Length value as a number, or −1 when it is not one (RFC 9110 section 8.6; no list, no sign, no blank). */
export function parseContentLength(value: string): number {
  const length = value.length;
  if (length === 0 || length > MAX_LENGTH_DIGITS) return -1;
  let number = 0;
  for (let i = 0; i < length; i++) {
    const digit = value.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    number = number * 10 + digit;
  }
  return number;
}

const SHORTEST_ALIAS = 'contentlength'.length;
const LETTER_C = 0x63;
const LETTER_T = 0x74;

/**
 * Names such as `transfer_encoding` and `content--length`: harmless here, but a peer that folds delimiters (CGI and its heirs)
 * takes them for the real one. Only names that are not interned get here.
 */
function isFramingAlias(name: string): boolean {
  if (name.length < SHORTEST_ALIAS) return false;
  const first = name.charCodeAt(0);
  if (first !== LETTER_T && first !== LETTER_C) return false;
  const letters = name.replace(/[^a-z0-9]/g, '');
  return letters === 'transferencoding' || letters === 'contentlength';
}

/**
 * What the fields of a head say about framing and the connection, common to requests and responses. One object of each
 * kind serves a thread: it is filled and read in one go, before anything else is called.
 */
export class MessageHead {
  /** −1 when there is none. */
  contentLength = -1;
  chunked = false;
  http10 = false;
  /** The Connection header has `close`. */
  close = false;
  /** The Connection header has `keep-alive`. */
  keepAlive = false;
  /** The Connection header has `upgrade`. */
  connectionUpgrade = false;
  /** There is an Upgrade header. */
  upgrade = false;
  expectContinue = false;
  host: string | undefined = undefined;
  /** Transfer-Encoding, several lines as one list. */
  private transferEncoding: string | undefined = undefined;
  underscores = false;

  /** Why the head is refused: {@link INVALID} was answered. */
  status = 400;
  details = '';
  message = '';

  reset(): void {
    this.contentLength = -1;
    this.chunked = false;
    this.http10 = false;
    this.close = false;
    this.keepAlive = false;
    this.connectionUpgrade = false;
    this.upgrade = false;
    this.expectContinue = false;
    this.host = undefined;
    this.transferEncoding = undefined;
    this.underscores = false;
    this.status = 400;
  }

  fail(details: string, message: string, status = 400): number {
    this.status = status;
    this.details = details;
    this.message = message;
    return INVALID;
  }

  failScan(): number {
    return this.fail(scanner.details, scanner.message, scanner.tooMany ? 431 : 400);
  }

  /**
   * Puts the fields that {@link scanner} has found into `headers`, noting what they say about framing.
   * @param text the head as text, `base` being the offset of its first byte in the bytes scanned.
   * @param keepHost appends Host as a line (responses, where it means nothing).
   * @param underscores whether names with an underscore matter; they are left out of `headers`.
   * @returns 0 or {@link INVALID}.
   */
  fill(headers: HeaderMap, text: string, base: number, keepHost: boolean, underscores: boolean): number {
    const { marks, count } = scanner;
    for (let i = 0, at = 0; i < count; i++, at += MARKS) {
      const valueStart = (marks[at + 2] as number) - base;
      const valueEnd = (marks[at + 3] as number) - base;
      const value = valueStart === valueEnd ? '' : text.substring(valueStart, valueEnd);
      const known = marks[at + 4] as number;
      if (known < 0) {
        let name = text.substring((marks[at] as number) - base, (marks[at + 1] as number) - base);
        if (known === UNKNOWN_MIXED) name = name.toLowerCase();
        if (isFramingAlias(name)) {
          return this.fail(Http1Details.codecError, 'header name that others may take for a framing header');
        }
        if (underscores && name.includes('_')) this.underscores = true;
        else headers.appendParsed(name, NOT_WELL_KNOWN, value);
        continue;
      }
      switch (NAME_ROLES[known]) {
        case NameRole.none:
          break;
        case NameRole.host:
          if (keepHost) break;
          if (this.host !== undefined) return this.fail(Http1Details.invalidAuthority, 'more than one Host');
          this.host = value;
          continue;
        case NameRole.contentLength:
          if (this.contentLength >= 0)
            return this.fail(Http1Details.codecError, 'more than one Content-Length');
          this.contentLength = parseContentLength(value);
          if (this.contentLength < 0) return this.fail(Http1Details.codecError, 'malformed Content-Length');
          break;
        case NameRole.transferEncoding:
          this.transferEncoding =
            this.transferEncoding === undefined ? value : `${this.transferEncoding},${value}`;
          break;
        case NameRole.connection:
          this.readConnection(value);
          break;
        case NameRole.upgrade:
          this.upgrade = true;
          break;
        case NameRole.expect:
          if (value.length === 12 && value.toLowerCase() === '100-continue') this.expectContinue = true;
          break;
      }
      headers.appendParsed(NAMES[known] as string, NAME_IDS[known] as number, value);
    }
    const codings = this.transferEncoding;
    if (codings === undefined) return 0;
    if (codings !== 'chunked') return this.checkTransferEncoding(codings);
    this.chunked = true;
    return 0;
  }

  /** Has `formatter` take note of the names that {@link scanner} has found, as they stand in the head. */
  protected rememberNames(formatter: HeaderNameFormatter, text: string, base: number): void {
    const { marks, count } = scanner;
    for (let i = 0, at = 0; i < count; i++, at += MARKS)
      formatter.remember(text.substring((marks[at] as number) - base, (marks[at + 1] as number) - base));
  }

  /**
   * RFC 9112 section 6.3: when chunked is not the last coding the length is unknown (400); section 6.1: chunked is applied
   * once, and a coding that is not understood gets 501.
   */
  private checkTransferEncoding(list: string): number {
    const codings = listMembers(list);
    if (codings.indexOf('chunked') !== codings.length - 1 || codings.includes('')) {
      return this.fail(Http1Details.invalidTransferEncoding, 'chunked is not the last transfer coding');
    }
    if (codings.length > 1) {
      return this.fail(Http1Details.invalidTransferEncoding, 'unsupported transfer coding', 501);
    }
    this.chunked = true;
    return 0;
  }

  private readConnection(value: string): void {
    if (value === 'keep-alive') this.keepAlive = true;
    else if (value === 'close') this.close = true;
    else {
      for (const option of listMembers(value)) {
        if (option === 'close') this.close = true;
        else if (option === 'keep-alive') this.keepAlive = true;
        else if (option === 'upgrade') this.connectionUpgrade = true;
      }
    }
  }
}

/** Fields that frame, route or authenticate a message, and so mean nothing in trailers (RFC 9110 section 6.5.1). */
const NO_TRAILER: ReadonlySet<string> = new Set([
  'authorization',
  'connection',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'cookie',
  'expect',
  'host',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'set-cookie',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Puts the fields that {@link scanner} has found into `trailers`, leaving out those which may not be there. */
export function fillTrailers(trailers: Trailers, data: Buffer, start: number, end: number): void {
  const { marks, count } = scanner;
  const text = latin1(data, start, end);
  for (let i = 0, at = 0; i < count; i++, at += MARKS) {
    const name = text
      .substring((marks[at] as number) - start, (marks[at + 1] as number) - start)
      .toLowerCase();
    if (NO_TRAILER.has(name)) continue;
    trailers.append(
      name,
      text.substring((marks[at + 2] as number) - start, (marks[at + 3] as number) - start),
    );
  }
}

/** The text `HTTP/1.` at `p`: the version's last digit, or −1 when it is not 0 or 1 behind that text. */
export function minorVersion(data: Buffer, p: number): number {
  if (
    data[p] !== 0x48 ||
    data[p + 1] !== 0x54 ||
    data[p + 2] !== 0x54 ||
    data[p + 3] !== 0x50 ||
    data[p + 4] !== 0x2f ||
    data[p + 5] !== 0x31 ||
    data[p + 6] !== 0x2e
  ) {
    return -1;
  }
  const minor = (data[p + 7] as number) - 0x30;
  return minor === 0 || minor === 1 ? minor : -1;
}
