import { performServerHandshake, type ServerHttp2Session } from 'node:http2';
import type { Duplex } from 'node:stream';
import { FIELD_OVERHEAD } from '../fields.ts';
import type { Http2ServerOptions } from '../options.ts';

/** Pseudo-headers of a request, which limits on lines leave out. */
const PSEUDO_HEADERS = 5;
/** Node closes a session that needs more; what a full connection window may hold comes on top. */
const SESSION_MEMORY_BYTES = 10 * 1024 * 1024;
const MIB = 1024 * 1024;
/** The most that Node takes in a setting. */
const MAX_INT = 0xffffffff;

/** Errors of a session that the peer's frames have caused. */
const PEER_BROKE_RULES: ReadonlySet<string> = new Set([
  'ERR_HTTP2_ERROR',
  'ERR_HTTP2_TOO_MANY_INVALID_FRAMES',
]);

/** A session of Node's that tells its owner in time, and leaves ends to it. */
export interface OpenSession {
  readonly session: ServerHttp2Session;
  /** Sends GOAWAY: no stream is taken any more, and Node ends the session with the last one. */
  readonly drain: () => void;
}

/**
 * Begins the server side of HTTP/2: SETTINGS and the connection's window are on their way before the first byte is read.
 *
 * @param onError why the session ends, before its streams hear of it
 */
export function openSession(
  socket: Duplex,
  options: Http2ServerOptions,
  onError: (error: NodeJS.ErrnoException) => void,
): OpenSession {
  const session = performServerHandshake(socket, {
    settings: {
      maxConcurrentStreams: options.maxConcurrentStreams,
      initialWindowSize: options.initialStreamWindowSize,
      headerTableSize: options.hpackTableSize,
      // Envoy counts names and values only; what it lets through must not fail here.
      maxHeaderListSize: Math.min(
        options.maxHeaderBytes + (options.maxHeaderCount + PSEUDO_HEADERS) * FIELD_OVERHEAD,
        MAX_INT,
      ),
      enableConnectProtocol: options.allowConnect,
      customSettings: options.customSettings,
    },
    maxDeflateDynamicTableSize: options.hpackTableSize,
    maxHeaderListPairs: Math.min(options.maxHeaderCount + PSEUDO_HEADERS + 1, MAX_INT),
    // What an upstream says twice is not for us to judge.
    strictSingleValueFields: false,
    maxSessionMemory: Math.ceil((SESSION_MEMORY_BYTES + options.initialConnectionWindowSize) / MIB),
  });
  session.on('error', ignore);
  // Node would answer the client's GOAWAY with one of our own, which does nothing for it. And once ours is out, Node misses some errors: it
  // reads no more, and does not say so.
  const drain = session.close.bind(session);
  session.close = ignore;
  // 'error' comes when the socket has closed.
  const destroy = session.destroy.bind(session);
  session.destroy = (error, code) => {
    if (error instanceof Error) onError(error);
    // Node would close the socket before the peer has read our GOAWAY, unless the session was on its way to its end.
    Object.defineProperty(session, 'closed', { value: true });
    destroy(error, code);
  };
  if (!session.destroyed) session.setLocalWindowSize(options.initialConnectionWindowSize);
  return { session, drain };
}

/** Whether the peer's frames have ended the session, and not its socket, or a GOAWAY with an error. */
export function isPeersFault({ code }: NodeJS.ErrnoException): boolean {
  return code === undefined || PEER_BROKE_RULES.has(code);
}

function ignore(): void {}
