/** A length-prefixed message. */
export interface Frame {
  readonly flags: number;
  readonly message: Buffer;
}

export function frame(message: string | Uint8Array, flags = 0): Buffer {
  const bytes = typeof message === 'string' ? Buffer.from(message) : message;
  const head = Buffer.alloc(5, flags);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

/** @throws RangeError when bytes are missing or left over */
export function framesOf(body: Buffer): Frame[] {
  const found: Frame[] = [];
  for (let at = 0; at < body.length; ) {
    const end = at + 5 + body.readUInt32BE(at + 1);
    if (end > body.length) throw new RangeError(`a message ends ${end - body.length} bytes behind the body`);
    found.push({ flags: body[at] as number, message: body.subarray(at + 5, end) });
    at = end;
  }
  return found;
}

/** The frames of a body of gRPC-Web text: pieces of base64, each of which may be padded. */
export function textFramesOf(body: Buffer): Frame[] {
  const pieces = body.toString('latin1').match(/[^=]+={0,2}/g) ?? [];
  return framesOf(Buffer.concat(pieces.map((piece) => Buffer.from(piece, 'base64'))));
}

/** Messages as text, and the last frame's trailers: `name:value` lines. */
export function webAnswerOf(frames: readonly Frame[]) {
  const last = frames.at(-1);
  const hasTrailers = last?.flags === 0x80;
  return {
    messages: (hasTrailers ? frames.slice(0, -1) : frames).map(({ message }) => message.toString()),
    trailers: hasTrailers ? fieldsOf((last as Frame).message.toString('latin1')) : undefined,
  };
}

function fieldsOf(lines: string): Record<string, string> {
  const entries = lines.split('\r\n').filter((line) => line !== '');
  return Object.fromEntries(
    entries.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]),
  );
}
