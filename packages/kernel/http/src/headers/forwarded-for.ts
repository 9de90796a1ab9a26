import { isIP } from 'node:net';
import { Address, type RequestHeaders, wellKnownId } from '@dragoman/core';

const ID_XFF = wellKnownId('x-forwarded-for');

/** What x-forwarded-for says of the client. */
export interface ForwardedClient {
  readonly address: Address;
  /** The header held this address and no other. */
  readonly single: boolean;
}

/**
 * The last address in x-forwarded-for but for `skip` at its end; undefined when there are not so many, or when it is
 * no IP address. Several lines count as one list.
 */
export function lastForwardedAddress(headers: RequestHeaders, skip: number): ForwardedClient | undefined {
  if (!headers.hasKnown(ID_XFF)) return undefined;
  const list = headers.getJoined('x-forwarded-for') ?? '';
  let end = list.length;
  for (let i = 0; i < skip; i++) {
    end = list.lastIndexOf(',', end - 1);
    if (end <= 0) return undefined;
  }
  const comma = list.lastIndexOf(',', end - 1);
  const text = list.slice(comma + 1, end).trim();
  if (isIP(text) === 0 || text.includes('%')) return undefined;
  return { address: Address.ip(text, 0), single: comma < 0 && skip === 0 };
}

/** Appends an address to x-forwarded-for, joining what stands there into one line. A Unix socket has none to give. */
export function appendForwardedFor(headers: RequestHeaders, address: Address): void {
  if (address.family === 'pipe') return;
  if (!headers.hasKnown(ID_XFF)) {
    headers.appendKnown(ID_XFF, address.ip);
    return;
  }
  const before = headers.getJoined('x-forwarded-for');
  headers.setKnown(ID_XFF, before === '' ? address.ip : `${before},${address.ip}`);
}
