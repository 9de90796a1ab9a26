import { isExtendedConnect, isUpgrade, type RequestHeaders, upgradeToConnectRequest } from '@dragoman/core';
import { writeLines } from '../fields.ts';

/** A request's header list, and what the answer to it means. */
export interface RequestFields {
  readonly raw: readonly string[];
  /** `:protocol` of an extended CONNECT; empty for none. */
  readonly protocol: string;
  /** Nothing may follow before the peer has accepted: CONNECT, extended or not. */
  readonly tunnel: boolean;
  /** The request came as HTTP/1.1 asks for an upgrade, and so is the answer to go back. */
  readonly upgrade: boolean;
}

/** Undefined when a value would break the message. */
export function requestFields(headers: RequestHeaders): RequestFields | undefined {
  if (!isUpgrade(headers)) return fieldsOf(headers, false);
  // Other tries may be sent the same headers.
  const copy = headers.clone();
  upgradeToConnectRequest(copy);
  return fieldsOf(copy, true);
}

function fieldsOf(headers: RequestHeaders, upgrade: boolean): RequestFields | undefined {
  const { method, path, authority, scheme } = headers;
  const connect = method === 'CONNECT';
  const extended = connect && isExtendedConnect(headers);
  if (path === '' && (!connect || extended)) return undefined;
  const raw = [':method', method];
  // RFC 9113 section 8.5: CONNECT has an authority only, unless it is extended.
  if (!connect || extended) raw.push(':scheme', scheme === '' ? 'http' : scheme, ':path', path);
  if (authority !== '') raw.push(':authority', authority);
  if (extended) raw.push(':protocol', headers.protocol);
  for (let i = 1; i < raw.length; i += 2) if (UNSAFE.test(raw[i] as string)) return undefined;
  if (!writeLines(raw, headers)) return undefined;
  return { raw, protocol: extended ? headers.protocol : '', tunnel: connect, upgrade };
}

/** What no pseudo-header may hold: Node separates fields by NUL; CR, LF and space would split a request line further on. */
const UNSAFE = /[\0\r\n ]/;
