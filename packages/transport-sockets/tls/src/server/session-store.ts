import { createServer, type Server } from 'node:tls';

/** As many as BoringSSL keeps. */
const MAX_SESSIONS = 20_480;
/** A session with a client's certificate has some 2 KB. */
const MAX_BYTES = 8 * 1024 * 1024;

/**
 * Sessions of clients that know no tickets (TLS 1.2 and older), by session id. The oldest go first. How long one is good for is
 * written in it, and OpenSSL looks.
 */
export class SessionStore {
  private readonly sessions = new Map<string, Buffer>();
  private bytes = 0;

  get size(): number {
    return this.sessions.size;
  }

  add(id: Buffer, session: Buffer): void {
    const key = id.toString('latin1');
    this.remove(key);
    this.sessions.set(key, Buffer.from(session));
    this.bytes += session.length;
    while (this.sessions.size > MAX_SESSIONS || this.bytes > MAX_BYTES) {
      const [oldest] = this.sessions.keys();
      this.remove(oldest as string);
    }
  }

  find(id: Buffer): Buffer | undefined {
    return this.sessions.get(id.toString('latin1'));
  }

  private remove(key: string): void {
    const session = this.sessions.get(key);
    if (session === undefined) return;
    this.bytes -= session.length;
    this.sessions.delete(key);
  }
}

/** What a handshake asks of the server that it belongs to. */
export interface HandshakeServices {
  /** DER. */
  readonly ocsp: Buffer | undefined;
  readonly sessions: SessionStore | undefined;
}

/**
 * node:tls asks the server of a socket for stapled responses and stored sessions. This one never listens, it only answers; a connection that
 * wants none of that has none, which spares it the way through JavaScript in the middle of its handshake.
 */
export function serviceServer({ ocsp, sessions }: HandshakeServices): Server {
  // Without `ca` it would read all the authorities that Node trusts.
  const server = createServer({ ca: [] });
  if (ocsp !== undefined) server.on('OCSPRequest', (_certificate, _issuer, done) => done(null, ocsp));
  if (sessions !== undefined) {
    server.on('newSession', (id, session, done) => {
      sessions.add(id, session);
      done();
    });
    server.on('resumeSession', (id, done) => done(null, sessions.find(id)));
  }
  return server;
}
