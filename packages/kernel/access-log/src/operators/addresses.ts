import { type Address, ConfigError, type StreamInfo } from '@dragoman/core';
import { utf8Bytes } from '@dragoman/matching';
import { bytesOperator, type Operator, type OperatorSpec, type OperatorTable, plain } from '../operator.ts';

type ReadAddress = (info: StreamInfo) => Address | undefined;

/** An address with its port. Only a path can hold more than ASCII. */
function withPort(read: ReadAddress): OperatorSpec {
  return plain(
    bytesOperator(({ info }) => {
      const address = read(info);
      if (address === undefined) return undefined;
      return address.family === 'pipe' ? utf8Bytes(address.text) : address.text;
    }),
  );
}

/** An address without its port; with a parameter, cut to that many bits, as CIDR. */
function withoutPort(read: ReadAddress): OperatorSpec {
  return {
    parameters: 'optional',
    length: false,
    compile(parameter) {
      if (parameter === '') {
        return bytesOperator(({ info }) => {
          const address = read(info);
          if (address === undefined) return undefined;
          return address.family === 'pipe' ? utf8Bytes(address.path) : address.ip;
        });
      }
      const bits = /^[0-9]{1,3}$/.test(parameter) ? Number(parameter) : Number.NaN;
      if (!(bits <= 128)) throw ConfigError.at('', `"${parameter}" is not a prefix length, 0 to 128`);
      return bytesOperator(({ info }) => {
        const address = read(info);
        return address === undefined ? undefined : maskedAddress(address, bits);
      });
    },
  };
}

/** A port: a number in JSON. A Unix socket has none: empty in text, as in Envoy. */
function port(read: ReadAddress): OperatorSpec {
  const operator: Operator = {
    text: ({ info }) => {
      const address = read(info);
      if (address === undefined) return undefined;
      return address.family === 'pipe' ? '' : String(address.port);
    },
    json: ({ info }) => {
      const address = read(info);
      return address === undefined || address.family === 'pipe' ? undefined : String(address.port);
    },
  };
  return plain(operator);
}

/** `10.1.0.0/16`; undefined when the address is no IP or has fewer bits. */
export function maskedAddress(address: Address, bits: number): string | undefined {
  if (address.family === 'pipe') return undefined;
  if (address.family === 'ipv4') {
    if (bits > 32) return undefined;
    const octets = address.ip.split('.').map(Number);
    return `${octets.map((octet, i) => octet & byteMask(bits - 8 * i)).join('.')}/${bits}`;
  }
  const groups = ipv6Groups(address.ip).map((group, i) => {
    const high = byteMask(bits - 16 * i);
    return group & ((high << 8) | byteMask(bits - 16 * i - 8));
  });
  // The URL parser writes IPv6 in its short form (RFC 5952).
  const short = new URL(`http://[${groups.map((group) => group.toString(16)).join(':')}]`).hostname;
  return `${short.slice(1, -1)}/${bits}`;
}

/** Of a byte, the first `bits` (less than 0 is none, more than 8 is all). */
function byteMask(bits: number): number {
  return bits <= 0 ? 0 : bits >= 8 ? 0xff : (0xff << (8 - bits)) & 0xff;
}

function ipv6Groups(ip: string): number[] {
  const [head = '', tail] = ip.split('::');
  const left = groupsOf(head);
  if (tail === undefined) return left;
  const right = groupsOf(tail);
  return [...left, ...new Array<number>(8 - left.length - right.length).fill(0), ...right];
}

function groupsOf(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)];
    const [a, b, c, d] = group.split('.').map(Number) as [number, number, number, number];
    return [(a << 8) | b, (c << 8) | d];
  });
}

const upstreamHost: ReadAddress = (info) => info.upstreamHost?.address;
const upstreamLocal: ReadAddress = (info) => info.upstreamLocalAddress;
const upstreamRemote: ReadAddress = (info) => info.upstreamRemoteAddress;
const local: ReadAddress = (info) => info.connection.localAddress;
const remote: ReadAddress = (info) => info.remoteAddress;
const directRemote: ReadAddress = (info) => info.connection.directRemoteAddress;

/** Operators that are addresses. */
export const addressOperators: OperatorTable = {
  UPSTREAM_HOST: withPort(upstreamHost),
  UPSTREAM_LOCAL_ADDRESS: withPort(upstreamLocal),
  UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: withoutPort(upstreamLocal),
  UPSTREAM_LOCAL_PORT: port(upstreamLocal),
  UPSTREAM_REMOTE_ADDRESS: withPort(upstreamRemote),
  UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: withoutPort(upstreamRemote),
  UPSTREAM_REMOTE_PORT: port(upstreamRemote),
  DOWNSTREAM_LOCAL_ADDRESS: withPort(local),
  DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: withoutPort(local),
  DOWNSTREAM_LOCAL_PORT: port(local),
  // Nothing restores an original destination yet: the connection's own address is the direct one.
  DOWNSTREAM_DIRECT_LOCAL_ADDRESS: withPort(local),
  DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT: withoutPort(local),
  DOWNSTREAM_DIRECT_LOCAL_PORT: port(local),
  DOWNSTREAM_REMOTE_ADDRESS: withPort(remote),
  DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: withoutPort(remote),
  DOWNSTREAM_REMOTE_PORT: port(remote),
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS: withPort(directRemote),
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT: withoutPort(directRemote),
  DOWNSTREAM_DIRECT_REMOTE_PORT: port(directRemote),
};
