import { type Address, type RequestHeaders, wellKnownId } from '@dragoman/core';
import type { IpRanges } from './ip-ranges.ts';
import { readIp } from './read-ip.ts';

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
  const address = readIp(list.slice(comma + 1, end).trim());
  return address === undefined ? undefined : { address, single: comma < 0 && skip === 0 };
}

/** Envoy's bound: a longer list is not read, since each address costs a search in the networks. */
const MAX_ADDRESSES = 20;

/**
 * The last address in x-forwarded-for that is in none of the `trusted` networks, or the first of all when every one is.
 * Undefined without the header, when it has more than 20 addresses, or when one that had to be read is no IP address.
 */
export function lastUntrustedAddress(
  headers: RequestHeaders,
  trusted: IpRanges,
): ForwardedClient | undefined {
  if (!headers.hasKnown(ID_XFF)) return undefined;
  const list = (headers.getJoined('x-forwarded-for') ?? '').split(',', MAX_ADDRESSES + 1);
  if (list.length > MAX_ADDRESSES) return undefined;
  let address: Address | undefined;
  for (let i = list.length - 1; i >= 0; i--) {
    address = readIp((list[i] as string).trim());
    if (address === undefined) return undefined;
    if (!trusted.has(address)) break;
  }
  return address === undefined ? undefined : { address, single: list.length === 1 };
}

/** Appends an address to x-forwarded-for, joining what stands there into one line. A Unix socket has none to give. */
export function appendForwardedFor(headers: RequestHeaders, address: Address): void {
  if (address.family !== 'pipe') appendForwardedIp(headers, address.ip);
}

/** {@link appendForwardedFor} of an address that is there as text, such as a node's own. */
export function appendForwardedIp(headers: RequestHeaders, ip: string): void {
  if (!headers.hasKnown(ID_XFF)) {
    headers.appendKnown(ID_XFF, ip);
    return;
  }
  const before = headers.getJoined('x-forwarded-for');
  headers.setKnown(ID_XFF, before === '' ? ip : `${before},${ip}`);
}
