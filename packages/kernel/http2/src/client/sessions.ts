import type { ClientHttp2Session, SecureClientSessionOptions } from 'node:http2';
import type { Duplex } from 'node:stream';
import http2Wrapper from 'http2-wrapper';

/** Who asked for a session. Exactly one of the two is called, unless the socket closes before. */
export interface SessionUser {
  /** The peer's SETTINGS have come. */
  onSession(session: ClientHttp2Session): void;
  onSessionFailed(error: Error): void;
}

/** The agent takes a list, whatever its types say. */
type Listeners = Parameters<InstanceType<typeof http2Wrapper.Agent>['getSession']>[2];

const USER = Symbol('dragoman.http2.user');

interface SessionSocket extends Duplex {
  [USER]?: SessionUser | undefined;
}

/**
 * The sessions to one upstream host, held by one agent of `http2-wrapper`. Each has the socket that it was asked for with, and is nobody
 * else's: every call asks for an origin of its own, so that the agent finds none which it could share, or close as superfluous.
 */
export class Http2Sessions {
  private readonly agent = new http2Wrapper.Agent({ maxEmptySessions: Number.POSITIVE_INFINITY });
  private count = 0;

  constructor() {
    this.agent.on('session', (session: ClientHttp2Session) => {
      const socket = session.socket as unknown as SessionSocket;
      const user = socket[USER];
      socket[USER] = undefined;
      user?.onSession(session);
    });
  }

  /** @param socket connected, and secure where that is wanted */
  open(socket: Duplex, options: SecureClientSessionOptions, user: SessionUser): void {
    (socket as SessionSocket)[USER] = user;
    passAsPlain(socket);
    let given = false;
    const createConnection = (): Duplex => {
      if (given) throw new Error('a connection carries one session');
      given = true;
      return socket;
    };
    const fail = (error: Error): void => {
      if ((socket as SessionSocket)[USER] === undefined) return;
      (socket as SessionSocket)[USER] = undefined;
      user.onSessionFailed(error);
    };
    const origin = `http://${++this.count}.invalid`;
    // What the promise says comes a turn later than the listener and the event.
    const listeners = [{ resolve: () => {}, reject: fail }] as unknown as Listeners;
    void this.agent.getSession(
      origin,
      { ...options, createConnection } as SecureClientSessionOptions,
      listeners,
    );
  }

  /** Sessions that are open, or being opened. */
  get size(): number {
    return this.agent.sessionCount;
  }
}

/**
 * The agent compares a certificate with the origin, and refuses sockets without one: who the peer is was settled by the transport socket,
 * and the origin is none.
 */
function passAsPlain(socket: Duplex): void {
  Object.defineProperty(socket, 'encrypted', { value: false });
  Object.defineProperty(socket, 'getPeerX509Certificate', { value: undefined });
}
