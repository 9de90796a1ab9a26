import type { TLSSocket } from 'node:tls';

const OCTET_STRING = 4;

/**
 * The id of a connection's session, in hex. Node gives the session as OpenSSL writes it: a SEQUENCE of two version numbers, the cipher, the
 * id and more. With TLS 1.3 there is none: tickets come later, and have none of it in BoringSSL either.
 */
export function sessionId(socket: TLSSocket, version: string): string {
  if (version === 'TLSv1.3') return '';
  const session = socket.getSession();
  return session === undefined || session === null ? '' : (idOf(session)?.toString('hex') ?? '');
}

function idOf(session: Buffer): Buffer | undefined {
  let at = afterNodeHeader(session);
  at += headerLength(session, at);
  // Version of the structure, version of TLS, cipher: all shorter than 128 bytes.
  for (let i = 0; i < 3; i++) at += 2 + (session[at + 1] ?? 0);
  if (session[at] !== OCTET_STRING) return undefined;
  return session.subarray(at + 2, at + 2 + (session[at + 1] ?? 0));
}

/** A client's session has Node's own header in front: a text between two NULs, and the name of the server after its length. */
function afterNodeHeader(session: Buffer): number {
  if (session[0] !== 0) return 0;
  const end = session.indexOf(0, 1);
  return end < 0 || end + 3 > session.length ? 0 : end + 3 + session.readUInt16BE(end + 1);
}

function headerLength(bytes: Buffer, at: number): number {
  const first = bytes[at + 1] ?? 0;
  return first < 0x80 ? 2 : 2 + (first & 0x7f);
}
