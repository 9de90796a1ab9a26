import { type RequestHeaders, wellKnownId } from './header-map.ts';

const ID_ORIGINAL_HOST = wellKnownId('x-envoy-original-host');
const ID_FORWARDED_HOST = wellKnownId('x-forwarded-host');

/**
 * Sets `:authority`, for every kind of host rewrite; what it was goes to `x-envoy-original-host` unless Envoy's headers are
 * suppressed, and to the end of `x-forwarded-host` when `append_x_forwarded_host` asks for it and it does not stand there.
 */
export function applyHostRewrite(
  headers: RequestHeaders,
  host: string,
  appendForwardedHost: boolean,
  suppressEnvoyHeaders: boolean,
): void {
  const before = headers.authority;
  if (before !== '') {
    if (appendForwardedHost) appendHost(headers, before);
    if (!suppressEnvoyHeaders) headers.setKnown(ID_ORIGINAL_HOST, before);
  }
  headers.authority = host;
}

function appendHost(headers: RequestHeaders, host: string): void {
  const list = headers.getJoined('x-forwarded-host');
  if (list === undefined || list === '') headers.setKnown(ID_FORWARDED_HOST, host);
  else if (list.slice(list.lastIndexOf(',') + 1) !== host)
    headers.setKnown(ID_FORWARDED_HOST, `${list},${host}`);
}
