import { isIPv6, SocketAddress as Parsed } from 'node:net';
import {
  type Address as AddressMessage,
  AddressSchema,
  type SocketAddress,
  SocketAddressSchema,
} from '@dragoman/api';
import { Address, ConfigError, refuseUnsupported } from '@dragoman/core';

/** Where to bind, with what only binding needs. */
export interface BindTarget {
  readonly address: Address;
  /** `ipv4_compat` is false on an IPv6 address. */
  readonly ipv6Only: boolean;
  /** `pipe.mode`; undefined: as the umask has it. */
  readonly mode: number | undefined;
}

const SUPPORTED_KINDS = new Set(['socket_address', 'pipe']);
const SUPPORTED_SOCKET = new Set(['address', 'port_value', 'ipv4_compat', 'protocol', 'resolver_name']);

/** @throws ConfigError with paths below the address */
export function readBindTarget(message: AddressMessage | undefined): BindTarget {
  if (message === undefined || message.address.case === undefined) {
    throw ConfigError.at(
      '',
      'an address is required: socket_address { address, port_value } or pipe { path }',
    );
  }
  refuseUnsupported(message, AddressSchema, SUPPORTED_KINDS);
  if (message.address.case === 'pipe') {
    const { path, mode } = message.address.value;
    return { address: Address.pipe(path), ipv6Only: false, mode: mode === 0 ? undefined : mode };
  }
  return readSocketAddress(message.address.value as SocketAddress);
}

function readSocketAddress(message: SocketAddress): BindTarget {
  refuseUnsupported(message, SocketAddressSchema, SUPPORTED_SOCKET, 'socket_address');
  if (message.protocol !== 0) throw ConfigError.at('socket_address.protocol', 'only TCP is supported');
  if (message.resolverName !== '')
    throw ConfigError.at(
      'socket_address.resolver_name',
      'custom resolvers are not supported; write an IP address',
    );
  if (message.portSpecifier.case !== 'portValue') {
    throw ConfigError.at('socket_address.port_value', 'a port number is required');
  }
  try {
    const address = Address.ip(canonical(message.address), message.portSpecifier.value);
    return { address, ipv6Only: address.family === 'ipv6' && !message.ipv4Compat, mode: undefined };
  } catch {
    throw ConfigError.at(
      'socket_address.address',
      `"${message.address}" is not an IP address; a listener needs one, e.g. 0.0.0.0 or 127.0.0.1`,
    );
  }
}

/** One text for each IPv6 address, however it is written: sockets are found again by it. A scope stays with its address. */
function canonical(ip: string): string {
  return isIPv6(ip) && !ip.includes('%') ? new Parsed({ address: ip, family: 'ipv6' }).address : ip;
}

/** Where a listener is bound, or was. */
export interface BoundTargets {
  readonly targets: readonly BindTarget[];
  /** Of each target, its port resolved. */
  readonly addresses: readonly Address[];
}

/**
 * The addresses that a new version of a listener has in common with the old one, whose sockets it keeps. Main and workers each find out for
 * themselves, and the same.
 *
 * @returns for each new target the old one's index; undefined: it is new
 */
export function keptTargets(
  targets: readonly BindTarget[],
  old: BoundTargets,
): readonly (number | undefined)[] {
  const taken = new Set<number>();
  return targets.map(({ address }) => {
    const index = old.targets.findIndex(
      (target, i) =>
        !taken.has(i) && (target.address.equals(address) || old.addresses[i]?.equals(address) === true),
    );
    if (index < 0) return undefined;
    taken.add(index);
    return index;
  });
}
