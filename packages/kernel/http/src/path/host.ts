import type { RequestHeaders } from '@dragoman/core';

/** Index of the colon before the port of an authority, or −1. An IPv6 address keeps its own colons. */
export function portStart(host: string): number {
  const colon = host.lastIndexOf(':');
  if (colon < 0) return -1;
  const bracket = host.lastIndexOf(']');
  return bracket < colon ? colon : -1;
}

/** The port of an authority, or undefined when it has none that is a number. */
export function portOf(host: string): number | undefined {
  const colon = portStart(host);
  if (colon < 0) return undefined;
  const digits = host.slice(colon + 1);
  return /^\d{1,10}$/.test(digits) ? Number(digits) : undefined;
}

/** `host` without its port, where the port is a number (and is `only`, when that is given). */
export function stripPort(host: string, only?: number): string {
  const port = portOf(host);
  if (port === undefined || (only !== undefined && port !== only)) return host;
  return host.slice(0, portStart(host));
}

/** `example.com.` → `example.com`, `example.com.:443` → `example.com:443`. One dot at most goes. */
export function stripTrailingDot(host: string): string {
  const dot = host.lastIndexOf('.');
  if (dot < 0) return host;
  if (dot === host.length - 1) return host.slice(0, -1);
  return host.charCodeAt(dot + 1) === 0x3a ? host.slice(0, dot) + host.slice(dot + 1) : host;
}

export interface HostPolicy {
  /** `strip_any_host_port`, `strip_matching_host_port` (the port of the connection's local address), or neither. */
  readonly stripPort: 'no' | 'any' | 'matching';
  /** `strip_trailing_host_dot`; default false. */
  readonly stripTrailingDot: boolean;
}

/** Makes `:authority` what everything behind sees, and answers the port that a CONNECT has lost by it. */
export type RewriteHost = (headers: RequestHeaders, localPort: number) => number | undefined;

/** Undefined when there is nothing to do. */
export function compileHostPolicy(policy: HostPolicy): RewriteHost | undefined {
  if (policy.stripPort === 'no' && !policy.stripTrailingDot) return undefined;
  return (headers, localPort) => {
    let host = headers.authority;
    if (policy.stripTrailingDot) host = stripTrailingDot(host);
    headers.authority = host;
    if (policy.stripPort === 'no') return undefined;
    const stripped = stripPort(host, policy.stripPort === 'matching' ? localPort : undefined);
    headers.authority = stripped;
    return headers.method === 'CONNECT' && stripped !== host ? portOf(host) : undefined;
  };
}
