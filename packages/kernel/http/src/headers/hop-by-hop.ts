import { type HeaderMap, type RequestHeaders, type ResponseHeaders, wellKnownId } from '@dragoman/core';

const ID_CONNECTION = wellKnownId('connection');
const ID_UPGRADE = wellKnownId('upgrade');
const ID_KEEP_ALIVE = wellKnownId('keep-alive');
const ID_PROXY_CONNECTION = wellKnownId('proxy-connection');
const ID_TRANSFER_ENCODING = wellKnownId('transfer-encoding');
const ID_TE = wellKnownId('te');

/** More nominated headers than this are an attack, not a need (Envoy's limit). */
const MAX_NOMINATED = 10;

/** Tokens of `connection` that name no header. */
const CONNECTION_OPTIONS: ReadonlySet<string> = new Set([
  'close',
  'keep-alive',
  'upgrade',
  'http2-settings',
  'te',
]);

/** Whether the message asks for, or grants, another protocol: `connection` has the token `upgrade`, and `upgrade` is there. */
export function isUpgrade(headers: HeaderMap): boolean {
  if (!headers.hasKnown(ID_UPGRADE) || !headers.hasKnown(ID_CONNECTION)) return false;
  return tokens(headers.getJoined('connection')).includes('upgrade');
}

/** Lower-cased members of a comma list, empty ones left out. */
function tokens(list: string | undefined): string[] {
  if (list === undefined) return [];
  return list
    .toLowerCase()
    .split(',')
    .map((token) => token.trim())
    .filter((token) => token !== '');
}

/**
 * Headers that others base trust on: a client that names one of them in `connection` wants it gone after a proxy in
 * front has set it.
 */
function carriesTrust(name: string): boolean {
  return (
    name.startsWith(':') ||
    name.startsWith('x-forwarded-') ||
    name.startsWith('x-envoy-') ||
    name === 'host' ||
    name === 'forwarded' ||
    name === 'x-real-ip' ||
    name === 'x-request-id' ||
    name === 'content-length'
  );
}

/**
 * Removes what the request's `connection` nominates (RFC 9110 section 7.6.1).
 * @returns false when the request is to be refused: too many names, or one that carries trust or framing. Nothing was
 *   removed then
 */
export function removeNominated(headers: RequestHeaders): boolean {
  if (!headers.hasKnown(ID_CONNECTION)) return true;
  const value = headers.getJoined('connection') as string;
  // Nearly all there is.
  if (value === 'keep-alive' || value === 'close' || value === 'Keep-Alive') return true;
  const named = tokens(value);
  if (named.length >= MAX_NOMINATED || named.some(carriesTrust)) return false;
  const nominated = named.filter((name) => !CONNECTION_OPTIONS.has(name));
  if (nominated.length > 0) headers.removeWhere((name) => nominated.includes(name));
  return true;
}

/** Of `te` only `trailers` may go further. */
function sanitizeTe(headers: RequestHeaders): void {
  if (!headers.hasKnown(ID_TE)) return;
  if (tokens(headers.getJoined('te')).some((token) => token.split(';', 1)[0]?.trim() === 'trailers'))
    headers.setKnown(ID_TE, 'trailers');
  else headers.removeKnown(ID_TE);
}

/** Removes a request's hop-by-hop headers; those of an upgrade stay. {@link removeNominated} comes first. */
export function stripRequestHopByHop(headers: RequestHeaders): void {
  if (!isUpgrade(headers)) {
    headers.removeKnown(ID_CONNECTION);
    headers.removeKnown(ID_UPGRADE);
  }
  headers.removeKnown(ID_KEEP_ALIVE);
  headers.removeKnown(ID_PROXY_CONNECTION);
  headers.removeKnown(ID_TRANSFER_ENCODING);
  sanitizeTe(headers);
}

/** Removes a response's hop-by-hop headers; those of a granted upgrade stay. */
export function stripResponseHopByHop(headers: ResponseHeaders, upgraded: boolean): void {
  if (!upgraded) {
    headers.removeKnown(ID_CONNECTION);
    headers.removeKnown(ID_UPGRADE);
  }
  headers.removeKnown(ID_TRANSFER_ENCODING);
  headers.removeKnown(ID_KEEP_ALIVE);
  headers.removeKnown(ID_PROXY_CONNECTION);
}
