import { Trailers } from '@dragoman/core';

/** Length-prefixed messages, not compressed, one behind the other. */
export function grpcFrames(...messages: readonly (string | Uint8Array)[]): Buffer {
  const parts = messages.flatMap((message) => {
    const bytes = Buffer.from(message);
    const header = Buffer.alloc(5);
    header.writeUInt32BE(bytes.length, 1);
    return [header, bytes];
  });
  return Buffer.concat(parts);
}

/** The bytes in chunks of these sizes; the last has what is left. */
export function inPieces(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  let at = 0;
  for (const size of sizes) {
    if (at + size >= bytes.length) break;
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  pieces.push(bytes.subarray(at));
  return pieces;
}

/** A body as a string of bytes. */
export function textOf(body: Buffer): string {
  return body.toString('latin1');
}

/** Trailers from name-value pairs. */
export function trailers(fields: Readonly<Record<string, string>>): Trailers {
  const made = new Trailers();
  for (const [name, value] of Object.entries(fields)) made.append(name, value);
  return made;
}
