import { isIP } from 'node:net';

/** A host and perhaps a port, as requests name them. */
export interface Authority {
  /** An IPv6 address without its brackets. */
  readonly host: string;
  /** 0 … 65535. */
  readonly port: number | undefined;
}

const MAX_PORT = 65_535;
const DIGITS = /^[0-9]+$/;

/** The name of a host in a cache: in lower case, and with a port, since the same name with two default ports is two hosts. */
export function authorityKey(authority: string, defaultPort: number): string {
  const name = authority.toLowerCase();
  return hasPort(name) ? name : `${name}:${defaultPort}`;
}

const SUB_CLUSTER = 'DFPCluster:';
/** A name of DNS with a dot at its end, a colon and a port. */
const MAX_KEY = 254 + 1 + 5;

/** The cluster that a dynamic forward proxy has made for a host, by {@link authorityKey}; the name is Envoy's. */
export function subClusterName(key: string): string {
  return `${SUB_CLUSTER}${key}`;
}

/**
 * The host and port that {@link subClusterName} was made of; undefined: of none that there can be. Longer than any of DNS is none: clients choose
 * the name, and every stat of the cluster has it.
 */
export function subClusterHost(name: string): { readonly host: string; readonly port: number } | undefined {
  if (!name.startsWith(SUB_CLUSTER) || name.length > SUB_CLUSTER.length + MAX_KEY) return undefined;
  const { host, port } = parseAuthority(name.slice(SUB_CLUSTER.length));
  return port === undefined || port === 0 || host === '' ? undefined : { host, port };
}

function hasPort(authority: string): boolean {
  const colon = authority.lastIndexOf(':');
  return colon >= 0 && authority.lastIndexOf(']') < colon;
}

/** What stands behind the last colon and is no port belongs to the host, which no DNS server will know. */
export function parseAuthority(authority: string): Authority {
  const colon = authority.lastIndexOf(':');
  const port = authority.endsWith(']') || colon < 0 ? '' : authority.slice(colon + 1);
  const valid = DIGITS.test(port) && Number(port) <= MAX_PORT;
  const host = valid ? authority.slice(0, colon) : authority;
  const bare = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
  return { host: isIP(bare) === 6 ? bare : host, port: valid ? Number(port) : undefined };
}
