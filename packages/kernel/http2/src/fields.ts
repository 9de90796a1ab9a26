import {
  type HeaderMap,
  NOT_WELL_KNOWN,
  RequestHeaders,
  ResponseHeaders,
  Trailers,
  WELL_KNOWN_IDS,
} from '@dragoman/core';

/** Names and values in turn, as `node:http2` gives and takes them. */
export type RawFields = readonly string[];

/** Why a header list is refused. Undefined: it is not. */
export type FieldFault = 'too-many' | 'too-large' | 'connection-specific' | 'malformed' | undefined;

/** Bytes that RFC 9113 section 6.5.2 counts for each field besides name and value. */
export const FIELD_OVERHEAD = 32;

const COLON = 0x3a;
/** RFC 9113 section 8.2.2: fields of HTTP/1.1 connections have no meaning here. `te` may only say `trailers`. */
const CONNECTION_SPECIFIC: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);

export function isConnectionSpecific(name: string): boolean {
  return CONNECTION_SPECIFIC.has(name);
}

/** NUL, CR and LF never pass (RFC 9113 section 8.2.1); Node lets no other control character by. */
const UNSAFE_VALUE = /[\0\r\n]/;

/**
 * Reads a request's header list. Cookie crumbs become one line (RFC 9113 section 8.2.3), `host` becomes the authority where there is none.
 * @param underscores whether names with `_` pass
 */
export function readRequest(raw: RawFields): RequestHeaders {
  const headers = new RequestHeaders();
  let cookie: string | undefined;
  let host = '';
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] as string;
    const value = raw[i + 1] as string;
    if (name.charCodeAt(0) === COLON) headers.set(name, value);
    else if (name === 'cookie') {
      cookie = cookie === undefined ? value : `${cookie}; ${value}`;
    } else if (name === 'host') {
      if (host === '') host = value;
    } else headers.appendParsed(name, WELL_KNOWN_IDS.get(name) ?? NOT_WELL_KNOWN, value);
  }
  if (cookie !== undefined) headers.append('cookie', cookie);
  if (headers.authority === '' && host !== '') headers.authority = host;
  return headers;
}

/** Reads a response's header list. */
export function readResponse(raw: RawFields): ResponseHeaders {
  const headers = new ResponseHeaders();
  appendFields(headers, raw);
  return headers;
}

export function readTrailers(raw: RawFields): Trailers {
  const trailers = new Trailers();
  appendFields(trailers, raw);
  return trailers;
}

function appendFields(headers: HeaderMap, raw: RawFields): void {
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] as string;
    const value = raw[i + 1] as string;
    if (name.charCodeAt(0) === COLON) headers.set(name, value);
    else headers.appendParsed(name, WELL_KNOWN_IDS.get(name) ?? NOT_WELL_KNOWN, value);
  }
}

/**
 * Checks a header list against limits and RFC 9113 section 8.2.
 * @param maxBytes of names and values
 * @param maxFields lines, pseudo-headers not counted (as Envoy counts)
 */
export function faultOf(raw: RawFields, maxBytes: number, maxFields: number): FieldFault {
  let bytes = 0;
  let fields = 0;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] as string;
    const value = raw[i + 1] as string;
    bytes += name.length + value.length;
    if (name.charCodeAt(0) !== COLON) fields++;
    if (UNSAFE_VALUE.test(value)) return 'malformed';
    if (isConnectionSpecific(name)) return 'connection-specific';
    if (name === 'te' && value !== 'trailers') return 'connection-specific';
  }
  if (fields > maxFields) return 'too-many';
  if (bytes > maxBytes) return 'too-large';
  return undefined;
}

/**
 * Writes lines as HTTP/2 has them: those of HTTP/1.1 connections are left out, and `te` but for `trailers`. Undefined when a value would
 * break the message.
 */
export function writeLines(target: string[], headers: HeaderMap): boolean {
  const { names, values } = headers;
  for (let i = 0; i < names.length; i++) {
    const name = names[i] as string;
    const value = values[i] as string;
    if (isConnectionSpecific(name)) continue;
    if (name === 'te' && value !== 'trailers') continue;
    if (UNSAFE_VALUE.test(value)) return false;
    target.push(name, value);
  }
  return true;
}

/** {@link writeLines} as Node takes trailers and interim responses; undefined when a value would break the message. */
export function toFieldObject(headers: HeaderMap): Record<string, string | string[]> | undefined {
  const lines: string[] = [];
  if (!writeLines(lines, headers)) return undefined;
  const object: Record<string, string | string[]> = Object.create(null);
  for (let i = 0; i < lines.length; i += 2) {
    const name = lines[i] as string;
    const value = lines[i + 1] as string;
    const before = object[name];
    if (before === undefined) object[name] = value;
    else if (Array.isArray(before)) before.push(value);
    else object[name] = [before, value];
  }
  return object;
}

/** Bytes of names and values. */
export function bytesOf(raw: RawFields): number {
  let bytes = 0;
  for (let i = 0; i < raw.length; i++) bytes += (raw[i] as string).length;
  return bytes;
}
