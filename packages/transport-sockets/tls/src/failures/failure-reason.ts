import { BORINGSSL_REASONS, type BoringSslReason } from './boringssl-reasons.ts';
import { OPENSSL_NAMES } from './openssl-names.ts';

/** BoringSSL packs the number of its library and of the reason into one. */
const SSL_LIBRARY = 16 << 24;
const SYSTEM_LIBRARY = 2 << 24;
const FIRST_ALERT = 1000;

/** The text of `transport_failure_reason` before its end: a list of errors, the first one that happened first. */
const begin = 'TLS_error:';
const end = ':TLS_error_end';

/** Before {@link TransportEvents.onReady}, or after it; `counted` says whether it counts as `ssl.connection_error`. */
export interface TlsFailure {
  /** In Envoy's words; empty when the peer only went away. */
  readonly reason: string;
  readonly counted: boolean;
  readonly missingCertificate: boolean;
}

/** The reason, in Envoy's words, of connections that come before the secrets are there. */
export const NOT_READY = 'TLS error: Secret is not supplied by SDS';

const GONE: TlsFailure = { reason: '', counted: false, missingCertificate: false };

/** @param detail what follows the reason, such as a verification error */
export function reasonText(reasons: readonly BoringSslReason[], detail = ''): string {
  const list = reasons.map((name) => entry(SSL_LIBRARY + BORINGSSL_REASONS[name], 'SSL routines', name));
  return `${begin}${list.join('')}${detail === '' ? '' : `:${detail}`}${end}`;
}

const entry = (code: number, library: string, name: string): string =>
  `|${code}:${library}:OPENSSL_internal:${name}`;

/** In the C library's words, as Envoy prints them. */
const SYSTEM_ERRORS: Readonly<Record<string, readonly [errno: number, text: string]>> = {
  ECONNRESET: [104, 'Connection reset by peer'],
  EPIPE: [32, 'Broken pipe'],
  ETIMEDOUT: [110, 'Connection timed out'],
  ECONNABORTED: [103, 'Software caused connection abort'],
  EHOSTUNREACH: [113, 'No route to host'],
  ENETUNREACH: [101, 'Network is unreachable'],
};

/** What Node's TLS errors hold besides. */
interface NodeTlsError extends Error {
  readonly code?: string;
  readonly syscall?: string;
  /** OpenSSL's text of the reason, in lower case. */
  readonly reason?: string;
  readonly library?: string;
}

/**
 * What Envoy has for an error of `node:tls`.
 * @param helloAnswered something besides this error came from the server; only clients ask
 */
export function describeTlsError(error: Error, helloAnswered = true): TlsFailure {
  const { code = '', syscall, reason, library } = error as NodeTlsError;
  if (reason === undefined) return describeSystemError(code, syscall);
  if (library !== 'SSL routines') return { ...GONE, reason: foreign(error, library, reason), counted: true };
  const name = boringSslName(error, reason);
  if (name === undefined) {
    const peerGone = reason === 'unexpected eof while reading';
    return peerGone ? GONE : { ...GONE, reason: foreign(error, library, reason), counted: true };
  }
  const missingCertificate = name === 'PEER_DID_NOT_RETURN_A_CERTIFICATE';
  return {
    reason: missingCertificate
      ? reasonText([name], 'peer did not provide required client certificate')
      : reasonText(
          name === 'SSLV3_ALERT_HANDSHAKE_FAILURE' && !helloAnswered
            ? [name, 'HANDSHAKE_FAILURE_ON_CLIENT_HELLO']
            : [name],
        ),
    counted: !missingCertificate,
    missingCertificate,
  };
}

/** Node's own errors (a socket that was closed in the middle) have a code too, and no system call. */
function describeSystemError(code: string, syscall: string | undefined): TlsFailure {
  const known = syscall === undefined ? undefined : SYSTEM_ERRORS[code];
  if (known === undefined) return GONE;
  return { ...GONE, reason: `${begin}${entry(SYSTEM_LIBRARY + known[0], 'system library', known[1])}${end}` };
}

/** OpenSSL's number stands in the message: `error:0A0000C1:SSL routines:…`. */
function opensslCode(error: Error): number | undefined {
  const found = /error:([0-9A-Fa-f]{8}):/.exec(error.message)?.[1];
  return found === undefined ? undefined : Number.parseInt(found, 16);
}

const nameOf = (reason: string): string => reason.toUpperCase().replace(/[^A-Z0-9]+/g, '_');

const ALERTS: ReadonlyMap<number, BoringSslReason> = new Map(
  (Object.entries(BORINGSSL_REASONS) as [BoringSslReason, number][])
    .filter(([, number]) => number >= FIRST_ALERT)
    .map(([name, number]) => [number, name]),
);

function boringSslName(error: Error, reason: string): BoringSslReason | undefined {
  // The low 23 bits are the reason. Both libraries number alerts alike, but not all of their names are.
  const number = (opensslCode(error) ?? 0) & 0x7f_ffff;
  const alert = number > FIRST_ALERT ? ALERTS.get(number) : undefined;
  if (alert !== undefined) return alert;
  const name = nameOf(reason);
  return (
    OPENSSL_NAMES.get(name) ??
    (Object.hasOwn(BORINGSSL_REASONS, name) ? (name as BoringSslReason) : undefined)
  );
}

/** For what BoringSSL has no name: OpenSSL's, with its own number. */
function foreign(error: Error, library: string | undefined, reason: string): string {
  return `${begin}${entry(opensslCode(error) ?? 0, library ?? 'unknown library', nameOf(reason))}${end}`;
}
