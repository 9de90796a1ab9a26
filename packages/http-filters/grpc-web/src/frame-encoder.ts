import { FRAME_HEADER_BYTES } from '@dragoman/grpc-frames';

/** Bytes that base64 turns into one group of characters. */
const GROUP = 3;
const EMPTY = Buffer.alloc(0);

/**
 * Encodes a body of length-prefixed messages in base64, each message for itself, as its bytes pass: at the end of a message its
 * last group is padded. Keeps two bytes at most.
 */
export class Base64FrameEncoder {
  private readonly header: Buffer = Buffer.alloc(FRAME_HEADER_BYTES);
  private headerBytes = 0;
  /** Bytes of the message that are still to come. */
  private left = 0;
  private carry: Buffer = EMPTY;

  push(chunk: Buffer): Buffer {
    let text = '';
    let from = 0;
    for (let at = 0; at < chunk.length; ) {
      at = this.advance(chunk, at);
      if (this.headerBytes > 0 || this.left > 0) continue;
      text += this.encode(chunk.subarray(from, at)) + this.rest();
      from = at;
    }
    return Buffer.from(text + this.encode(chunk.subarray(from)), 'latin1');
  }

  /** What is kept of a message that ends too early. */
  end(): Buffer {
    return Buffer.from(this.rest(), 'latin1');
  }

  /** Goes on to the end of the header, of the message, or of the chunk. */
  private advance(chunk: Buffer, at: number): number {
    if (this.left > 0) {
      const taken = Math.min(this.left, chunk.length - at);
      this.left -= taken;
      return at + taken;
    }
    const taken = Math.min(FRAME_HEADER_BYTES - this.headerBytes, chunk.length - at);
    chunk.copy(this.header, this.headerBytes, at, at + taken);
    this.headerBytes += taken;
    if (this.headerBytes === FRAME_HEADER_BYTES) {
      this.headerBytes = 0;
      this.left = this.header.readUInt32BE(1);
    }
    return at + taken;
  }

  private encode(bytes: Buffer): string {
    const all = this.carry.length === 0 ? bytes : Buffer.concat([this.carry, bytes]);
    const whole = all.length - (all.length % GROUP);
    this.carry = whole === all.length ? EMPTY : Buffer.from(all.subarray(whole));
    return all.toString('base64', 0, whole);
  }

  private rest(): string {
    const text = this.carry.toString('base64');
    this.carry = EMPTY;
    return text;
  }
}
