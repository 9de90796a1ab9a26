import { isIP } from 'node:net';
import { Address, RequestHeaders } from '@dragoman/core';
import { utf8Bytes } from '@dragoman/matching';
import type { ExplainedRequest } from './explanation.ts';
import { printable } from './printable.ts';

/** A request line that cannot be read. The message says what was expected. */
export class ExplainUsageError extends Error {
  constructor(message: string) {
    super(printable(message));
  }
}

/** An {@link ExplainedRequest}, read. */
export interface ParsedRequest {
  readonly headers: RequestHeaders;
  readonly secure: boolean;
  /** Of the proxy; undefined for a CONNECT, whose target says nothing of it. */
  readonly port: number | undefined;
  /** The URL names the port. */
  readonly portGiven: boolean;
  readonly from: Address;
  readonly serverName: string;
}

// The path stays as it is written: what normalisation does to it is part of the explanation.
const REQUEST = /^(?:([!#$%&'*+\-.^_`|~0-9A-Za-z]+)\s+)?(https?):\/\/([^/?#@\s]+)((?:[/?#][^\s]*)?)$/;
/** What a CONNECT asks for is a host and a port; a scheme says how the proxy is spoken to. */
const CONNECT = /^CONNECT\s+(?:(https?):\/\/)?([^/?#@\s]+:\d{1,5})\/?$/;

/** @throws ExplainUsageError */
export function parseRequest(request: ExplainedRequest): ParsedRequest {
  const line = request.request.trim();
  const connect = CONNECT.exec(line);
  const match = connect === null ? REQUEST.exec(line) : [line, 'CONNECT', connect[1] ?? 'http', connect[2]];
  if (match === null || (connect === null && match[1] === 'CONNECT'))
    throw new ExplainUsageError(
      `"${request.request}" is no request; expected a method and a whole URL, as in 'GET https://example.com/path' or 'CONNECT example.com:443'`,
    );
  const [, method = 'GET', scheme, authority = '', rest = ''] = match;
  const secure = scheme === 'https';
  const { host, port } = splitPort(authority);
  const headers = new RequestHeaders();
  headers.method = method;
  headers.authority = utf8Bytes(authority);
  // No scheme: a client that speaks to a server does not send it. A CONNECT has no path either.
  headers.path = connect !== null ? '' : utf8Bytes(rest.startsWith('/') ? rest : `/${rest}`);
  for (const [name, value] of request.headers ?? []) addHeader(headers, name, value);
  return {
    headers,
    secure,
    port: connect !== null ? undefined : (port ?? (secure ? 443 : 80)),
    portGiven: connect === null && port !== undefined,
    from: readClient(request.from ?? '127.0.0.1'),
    serverName:
      request.serverName ??
      (secure && connect === null && !/^[\d.]+$|^\[/.test(host) ? host.toLowerCase() : ''),
  };
}

function splitPort(authority: string): { readonly host: string; readonly port: number | undefined } {
  const match = /^(.*?)(?::(\d{1,5}))?$/.exec(authority) as RegExpExecArray;
  const port = match[2] === undefined ? undefined : Number(match[2]);
  if (port !== undefined && (port === 0 || port > 65_535))
    throw new ExplainUsageError(`"${authority}": the port must be from 1 to 65535`);
  return { host: match[1] ?? '', port };
}

function addHeader(headers: RequestHeaders, name: string, value: string): void {
  const lower = name.trim().toLowerCase();
  if (!/^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(lower))
    throw new ExplainUsageError(`"${name}" is not a header name`);
  const bytes = utf8Bytes(value.trim());
  if (/[\0\r\n]/.test(bytes))
    throw new ExplainUsageError(`the value of ${lower} may not contain NUL, CR or LF`);
  if (lower === 'host') headers.authority = bytes;
  else headers.append(lower, bytes);
}

function readClient(from: string): Address {
  const withPort = Address.parse(from);
  if (withPort !== undefined && withPort.family !== 'pipe') return withPort;
  const ip = from.replace(/^\[(.*)\]$/, '$1');
  if (isIP(ip) !== 0) return Address.ip(ip, 0);
  throw new ExplainUsageError(`"${from}" is not an IP address, as in 203.0.113.7 or [2001:db8::1]:4321`);
}

/** `name: value`. @throws ExplainUsageError */
export function readHeader(line: string): readonly [name: string, value: string] {
  const colon = line.indexOf(':', 1);
  if (colon < 0) throw new ExplainUsageError(`"${line}" is no header; expected name: value`);
  return [line.slice(0, colon), line.slice(colon + 1)];
}

/** @throws ExplainUsageError */
export function readRandom(value: string): number {
  const random = Number(value);
  if (!/^\d{1,16}$/.test(value) || !Number.isSafeInteger(random))
    throw new ExplainUsageError(`"${value}" is no draw; expected a whole number from 0 to 2^53-1`);
  return random;
}
