import type { Connection } from '@dragoman/core';

/** How the end of an outgoing body is told. */
export const Framing = {
  /** There is no body; what is given is dropped. */
  none: 0,
  length: 1,
  chunked: 2,
  /** The body ends with the connection (HTTP/1.0). */
  close: 3,
  /** After a switch of protocols. */
  raw: 4,
} as const;

/** Writes an outgoing body in its framing (RFC 9112 section 6). */
export class BodyWriter {
  framing: number = Framing.none;
  /** Bytes still owed of a body of known length. */
  remaining = 0;
  /** More was given than the length said: what was too much was cut. */
  overrun = false;

  /** As {@link Connection.writeBody}. */
  write(connection: Connection, chunk: Buffer, holdable: boolean): boolean {
    const size = chunk.length;
    if (size === 0) return !connection.aboveHighWatermark;
    switch (this.framing) {
      case Framing.length:
        if (size > this.remaining) return this.writeCut(connection, chunk, holdable);
        this.remaining -= size;
        return connection.writeBody(chunk, holdable);
      case Framing.chunked: {
        connection.writeText(size.toString(16) + '\r\n');
        const goOn = connection.writeBody(chunk, holdable);
        connection.writeText('\r\n');
        return goOn;
      }
      case Framing.none:
        return true;
      default:
        return connection.writeBody(chunk, holdable);
    }
  }

  private writeCut(connection: Connection, chunk: Buffer, holdable: boolean): boolean {
    const rest = this.remaining;
    this.remaining = 0;
    this.overrun = true;
    return rest === 0 ? true : connection.writeBody(chunk.subarray(0, rest), holdable);
  }

  /** Ends the body. False when it is shorter than its length said: the connection must be closed. */
  end(connection: Connection, trailerLines: string): boolean {
    if (this.framing === Framing.chunked) connection.writeText('0\r\n' + trailerLines + '\r\n');
    return this.framing !== Framing.length || this.remaining === 0;
  }
}
