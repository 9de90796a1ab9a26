import { type ClientHttp2Stream, constants, type IncomingHttpHeaders } from 'node:http2';
import { Duplex } from 'node:stream';
import { resetStream } from '../reset-stream.ts';

/** Who gets what happens on a stream of Node's. A call that throws is the session's to deal with. */
export interface NativeUser {
  onInformational(raw: readonly string[]): void;
  onResponse(raw: readonly string[], endStream: boolean): void;
  onData(chunk: Buffer): void;
  onTrailers(raw: readonly string[]): void;
  /** Everything has been read. `complete`: because the peer said so, not because the stream was cut. */
  onEnd(complete: boolean): void;
  onDrain(): void;
  /** All that was written has gone; trailers are due. */
  onWantTrailers(): void;
  /** The peer, or Node, ends the stream before its time. */
  onCut(): void;
  onError(error: NodeJS.ErrnoException): void;
  /** Nothing follows. */
  onClose(): void;
  onBug(error: unknown): void;
}

const USER = Symbol('dragoman.http2.stream');
const COMPLETE = Symbol('dragoman.http2.complete');

interface Native extends ClientHttp2Stream {
  [USER]: NativeUser | undefined;
  [COMPLETE]: boolean;
}

const { push, destroy } = Duplex.prototype;

/**
 * Ties a stream to its user. Two methods of the stream are stood before, for what no event tells: whether the end of the data is the peer's
 * END_STREAM (`push(null)` on a stream that is open), and the moment at which the stream is cut, when nghttp2 still knows why.
 */
export function tieStream(stream: ClientHttp2Stream, user: NativeUser): void {
  const native = stream as Native;
  native[USER] = user;
  native[COMPLETE] = false;
  native.push = pushObserved;
  native.destroy = destroyObserved as Native['destroy'];
  native.on('headers', onHeaders);
  native.on('response', onResponse);
  native.on('trailers', onTrailers);
  native.on('end', onEnd);
  native.on('drain', onDrain);
  native.on('wantTrailers', onWantTrailers);
  native.on('error', onError);
  native.on('close', onClose);
}

/** Lets the data flow to the user. Not before the response is there. */
export function startData(stream: ClientHttp2Stream): void {
  stream.on('data', onData);
}

/** Whether the peer has ended the stream in the orderly way. */
export function isComplete(stream: ClientHttp2Stream): boolean {
  return (stream as Native)[COMPLETE];
}

/** The user hears nothing more. */
export function untieStream(stream: ClientHttp2Stream): void {
  (stream as Native)[USER] = undefined;
}

function pushObserved(this: Native, chunk: unknown, encoding?: BufferEncoding): boolean {
  if (chunk === null && !this.closed) this[COMPLETE] = true;
  return push.call(this, chunk, encoding);
}

function destroyObserved(this: Native, error?: Error): Native {
  const user = this[USER];
  if (user !== undefined && !this.destroyed && !this[COMPLETE]) guard(user, () => user.onCut());
  return destroy.call(this, error) as Native;
}

// The same functions for all streams: an emitter calls them with the stream as `this`.

function onHeaders(
  this: Native,
  _headers: IncomingHttpHeaders,
  _flags: number,
  raw: readonly string[],
): void {
  const user = this[USER];
  if (user !== undefined) guard(user, () => user.onInformational(raw));
}

function onResponse(
  this: Native,
  _headers: IncomingHttpHeaders,
  flags: number,
  raw: readonly string[],
): void {
  const user = this[USER];
  if (user === undefined) return;
  guard(user, () => user.onResponse(raw, (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0));
}

function onData(this: Native, chunk: Buffer): void {
  const user = this[USER];
  if (user === undefined) return;
  try {
    user.onData(chunk);
  } catch (error) {
    user.onBug(error);
  }
}

function onTrailers(
  this: Native,
  _headers: IncomingHttpHeaders,
  _flags: number,
  raw: readonly string[],
): void {
  const user = this[USER];
  if (user !== undefined) guard(user, () => user.onTrailers(raw));
}

function onEnd(this: Native): void {
  const user = this[USER];
  if (user !== undefined) guard(user, () => user.onEnd(this[COMPLETE]));
}

function onDrain(this: Native): void {
  const user = this[USER];
  if (user !== undefined) guard(user, () => user.onDrain());
}

function onWantTrailers(this: Native): void {
  const user = this[USER];
  if (user !== undefined) guard(user, () => user.onWantTrailers());
  // Node ends the stream by itself only where nobody listens.
  else resetStream(this, constants.NGHTTP2_CANCEL);
}

function onError(this: Native, error: NodeJS.ErrnoException): void {
  const user = this[USER];
  if (user !== undefined) guard(user, () => user.onError(error));
}

function onClose(this: Native): void {
  const user = this[USER];
  if (user !== undefined) guard(user, () => user.onClose());
  this[USER] = undefined;
}

function guard(user: NativeUser, call: () => void): void {
  try {
    call();
  } catch (error) {
    user.onBug(error);
  }
}
