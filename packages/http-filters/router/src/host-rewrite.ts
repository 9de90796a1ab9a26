import { type RequestHeaders, wellKnownId } from '@dragoman/core';

const ID_FORWARDED_HOST = wellKnownId('x-forwarded-host');
const ID_ORIGINAL_HOST = wellKnownId('x-envoy-original-host');

/**
 * Makes `host` the authority (`auto_host_rewrite`: the chosen host's name). What it was goes behind what
 * `x-forwarded-host` has, when asked for, and into `x-envoy-original-host`.
 */
export function rewriteHost(
  headers: RequestHeaders,
  host: string,
  appendForwardedHost: boolean,
  suppressEnvoyHeaders: boolean,
): void {
  const before = headers.authority;
  headers.authority = host;
  if (before === '') return;
  if (!suppressEnvoyHeaders) headers.setKnown(ID_ORIGINAL_HOST, before);
  if (!appendForwardedHost) return;
  const list = headers.getJoined('x-forwarded-host');
  if (list === undefined || list === '') headers.setKnown(ID_FORWARDED_HOST, before);
  else if (list.slice(list.lastIndexOf(',') + 1) !== before)
    headers.setKnown(ID_FORWARDED_HOST, `${list},${before}`);
}
