import type { Http2Stream } from 'node:http2';

/** What of Node's stream handle is used here; where it looks different, the peer gets another code. */
interface StreamHandle {
  rstStream?: (code: number) => void;
}

let handleKey: symbol | undefined;

function handleOf(stream: Http2Stream): StreamHandle | undefined {
  handleKey ??= Object.getOwnPropertySymbols(stream).find(({ description }) => description === 'kHandle');
  if (handleKey === undefined) return undefined;
  return (stream as unknown as Record<symbol, StreamHandle | undefined>)[handleKey];
}

/**
 * Sends RST_STREAM, and nothing besides. `close` of `node:http2` would first end the message in hand, with END_STREAM, so that the
 * peer takes what was cut off for whole. Without Node's internal handle the stream is destroyed with an error, for which Node sends
 * INTERNAL_ERROR.
 *
 * @param code RFC 9113 section 7
 */
export function resetStream(stream: Http2Stream, code: number): void {
  if (stream.destroyed) return;
  const handle = handleOf(stream);
  if (typeof handle?.rstStream === 'function') {
    const reset = handle.rstStream.bind(handle, code);
    reset();
    // While Node reads, a reset waits, and the one that `destroy` asks for would change its code to NO_ERROR.
    handle.rstStream = reset;
    stream.destroy();
  } else stream.destroy(new Error('reset'));
}
