import type { HostDescription, StreamInfo } from '@dragoman/core';
import { bytesOperator, type OperatorSpec, type OperatorTable, plain, unicodeOperator } from '../operator.ts';

/** A host's name without its port: `a.example:80` → `a.example`, `[::1]:80` → `[::1]`. */
function withoutPort(name: string): string {
  const found = /^(.+):[0-9]{1,5}$/.exec(name);
  // A bare IPv6 address ends like one with a port.
  if (found === null || (!name.startsWith('[') && name.indexOf(':') !== name.lastIndexOf(':'))) return name;
  return found[1] as string;
}

type Describe = (host: HostDescription) => string;

const address: Describe = (host) => host.address.text;
const addressWithoutPort: Describe = ({ address: { family, path, ip } }) => (family === 'pipe' ? path : ip);
const name: Describe = (host) => host.hostname || host.address.text;
const nameWithoutPort: Describe = (host) => withoutPort(name(host));

/** The host of the latest attempt. */
function host(describe: Describe): OperatorSpec {
  return plain(
    unicodeOperator(({ info }) =>
      info.upstreamHost === undefined ? undefined : describe(info.upstreamHost),
    ),
  );
}

/** The hosts of all attempts in their order; a host tried twice stands there twice. */
function hosts(describe: Describe): OperatorSpec {
  return plain(unicodeOperator(({ info }) => joined(info.earlierUpstreamHosts, info.upstreamHost, describe)));
}

function connectionIds(info: StreamInfo): string | undefined {
  return joined(info.earlierUpstreamConnectionIds, info.upstreamConnectionId || undefined, String);
}

/** Comma-separated; undefined when there is nothing. */
function joined<T>(
  earlier: readonly T[] | undefined,
  latest: T | undefined,
  describe: (item: T) => string,
): string | undefined {
  if (earlier === undefined) return latest === undefined ? undefined : describe(latest);
  return (latest === undefined ? earlier : [...earlier, latest]).map((item) => describe(item)).join(',');
}

/** Operators about the hosts and connections that a request was tried with. */
export const attemptOperators: OperatorTable = {
  UPSTREAM_HOST_NAME: host(name),
  UPSTREAM_HOST_NAME_WITHOUT_PORT: host(nameWithoutPort),
  UPSTREAM_HOSTS_ATTEMPTED: hosts(address),
  UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT: hosts(addressWithoutPort),
  UPSTREAM_HOST_NAMES_ATTEMPTED: hosts(name),
  UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT: hosts(nameWithoutPort),
  UPSTREAM_CONNECTION_IDS_ATTEMPTED: plain(bytesOperator(({ info }) => connectionIds(info))),
};
