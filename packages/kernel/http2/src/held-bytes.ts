import type { Http2Stream } from 'node:http2';

/** Bytes that Node keeps for a stream: those that nobody has read, and those that wait for a window or for the connection. */
export function heldBy(stream: Http2Stream): number {
  return stream.destroyed ? 0 : stream.readableLength + stream.writableLength;
}
