import { type HeaderMap, type RequestHeaders, type ResponseHeaders, wellKnownId } from './header-map.ts';

/*
 * A switch of protocols looks different on HTTP/1.1 (GET with `upgrade`, answered by 101; RFC 9110 section 7.8) and on HTTP/2 (CONNECT
 * with `:protocol`, answered by 200; RFC 8441). Filters see the form of HTTP/1.1 only: codecs of HTTP/2 translate, as in Envoy.
 */

const ID_UPGRADE = wellKnownId('upgrade');
const ID_CONNECTION = wellKnownId('connection');
const ID_CONTENT_LENGTH = wellKnownId('content-length');
const SWITCHING_PROTOCOLS = 101;
const OK = 200;

/** A CONNECT with this `:protocol` asks for plain bytes: it is an ordinary CONNECT (Envoy: `bytestream`). */
const BYTE_STREAM = 'bytestream';

/** Whether headers ask for a switch of protocols, or confirm one, as HTTP/1.1 does: there is `upgrade`, and `connection` names it. */
export function isUpgrade(headers: HeaderMap): boolean {
  if (!headers.hasKnown(ID_UPGRADE) || !headers.hasKnown(ID_CONNECTION)) return false;
  return (headers.getJoined('connection') as string)
    .split(',')
    .some((option) => option.trim().toLowerCase() === 'upgrade');
}

/** Whether a request of HTTP/2 is an extended CONNECT that {@link connectToUpgradeRequest} translates. */
export function isExtendedConnect({ method, protocol }: RequestHeaders): boolean {
  return method === 'CONNECT' && protocol !== '' && protocol !== BYTE_STREAM;
}

/** Makes an extended CONNECT of a request for which {@link isUpgrade} holds. */
export function upgradeToConnectRequest(headers: RequestHeaders): void {
  headers.method = 'CONNECT';
  headers.protocol = headers.getKnown(ID_UPGRADE) ?? '';
  removeUpgrade(headers);
}

/** Makes a request with `upgrade` of one for which {@link isExtendedConnect} holds. */
export function connectToUpgradeRequest(headers: RequestHeaders): void {
  headers.method = 'GET';
  headers.setKnown(ID_UPGRADE, headers.protocol);
  headers.setKnown(ID_CONNECTION, 'upgrade');
  headers.protocol = '';
}

/** Makes the answer to an extended CONNECT of one for which {@link isUpgrade} holds: 101 becomes 200. */
export function upgradeToConnectResponse(headers: ResponseHeaders): void {
  if (headers.status === SWITCHING_PROTOCOLS) headers.status = OK;
  removeUpgrade(headers);
}

/**
 * Makes a 101 of the 200 that answers an extended CONNECT; any other answer stays what it is.
 * @param protocol the `:protocol` that was asked for
 */
export function connectToUpgradeResponse(headers: ResponseHeaders, protocol: string): void {
  if (headers.status !== OK) return;
  headers.setKnown(ID_UPGRADE, protocol);
  headers.setKnown(ID_CONNECTION, 'upgrade');
  headers.status = SWITCHING_PROTOCOLS;
}

function removeUpgrade(headers: HeaderMap): void {
  headers.removeKnown(ID_UPGRADE);
  headers.removeKnown(ID_CONNECTION);
  // A length frames nothing on a tunnel; nghttp2 takes the message for broken.
  if (headers.getKnown(ID_CONTENT_LENGTH) === '0') headers.removeKnown(ID_CONTENT_LENGTH);
}
