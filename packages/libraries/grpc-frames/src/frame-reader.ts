import { FRAME_HEADER_BYTES, FrameFlag, type GrpcFrame } from './frame.ts';

export interface GrpcFrameReaderOptions {
  /** The longest message that is read, bytes; a longer one is a failure as soon as its length is known. */
  readonly maxMessageBytes: number;
  /** Bits of {@link FrameFlag} that a frame may have; any other is a failure. Default: COMPRESSED. */
  readonly allowedFlags?: number;
}

const EMPTY = Buffer.alloc(0);

/** A message of several chunks starts with this much room, bytes, and doubles as it comes: a length alone reserves nothing. */
const FIRST_ROOM = 1024;

/**
 * Takes bytes in pieces of any size, gives messages. Push, then ask {@link next} until it says undefined, then look at
 * {@link failure}. A message that lies in one chunk is a view of it; one that spans chunks is copied together, and what is
 * reserved for it is at most twice what has come of it, and never more than the limit.
 */
export class GrpcFrameReader {
  readonly #maxMessageBytes: number;
  readonly #unknownFlags: number;
  /** Chunks not looked at yet; the first from {@link #offset} on. */
  #chunks: Buffer[] = [];
  #offset = 0;
  #pending = 0;
  readonly #header: Buffer = Buffer.alloc(FRAME_HEADER_BYTES);
  #headerBytes = 0;
  /** What has come of a message that spans chunks. */
  #partial: Buffer = EMPTY;
  #partialBytes = 0;
  #failure: string | undefined;

  constructor({ maxMessageBytes, allowedFlags = FrameFlag.COMPRESSED }: GrpcFrameReaderOptions) {
    this.#maxMessageBytes = maxMessageBytes;
    this.#unknownFlags = 0xff & ~allowedFlags;
  }

  /** Bytes that were pushed and have not come out: a message in the making (headers included), and what was not asked for. */
  get pendingBytes(): number {
    return this.#pending;
  }

  /** Why no more comes, once {@link next} has met it; pushes are dropped from then on. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** The chunk is kept, not copied, until the messages in it have come out. */
  push(chunk: Buffer): void {
    if (this.#failure !== undefined || chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#pending += chunk.length;
  }

  /** The next whole message; undefined when there is none yet, or after a failure. */
  next(): GrpcFrame | undefined {
    if (!this.#readHeader()) return undefined;
    const flags = this.#header[0] as number;
    const length = this.#header.readUInt32BE(1);
    const message = this.#readMessage(length);
    if (message === undefined) return undefined;
    this.#headerBytes = 0;
    this.#pending -= FRAME_HEADER_BYTES + length;
    return { flags, message };
  }

  /** True once the header in hand is whole and allowed. */
  #readHeader(): boolean {
    if (this.#headerBytes === FRAME_HEADER_BYTES) return true;
    while (this.#headerBytes < FRAME_HEADER_BYTES) {
      const chunk = this.#chunks[0];
      if (chunk === undefined) return false;
      const taken = Math.min(FRAME_HEADER_BYTES - this.#headerBytes, chunk.length - this.#offset);
      chunk.copy(this.#header, this.#headerBytes, this.#offset, this.#offset + taken);
      this.#headerBytes += taken;
      this.#consume(chunk, taken);
      const flags = this.#header[0] as number;
      if ((flags & this.#unknownFlags) !== 0) return this.#fail(`unknown flags 0x${flags.toString(16)}`);
    }
    const length = this.#header.readUInt32BE(1);
    if (length > this.#maxMessageBytes)
      return this.#fail(`a message of ${length} bytes: the limit is ${this.#maxMessageBytes}`);
    return true;
  }

  #readMessage(length: number): Buffer | undefined {
    if (length === 0) return EMPTY;
    if (this.#partialBytes === 0) {
      const chunk = this.#chunks[0];
      if (chunk !== undefined && chunk.length - this.#offset >= length) {
        const message = chunk.subarray(this.#offset, this.#offset + length);
        this.#consume(chunk, length);
        return message;
      }
    }
    while (this.#partialBytes < length) {
      const chunk = this.#chunks[0];
      if (chunk === undefined) return undefined;
      const taken = Math.min(length - this.#partialBytes, chunk.length - this.#offset);
      this.#makeRoom(this.#partialBytes + taken, length);
      chunk.copy(this.#partial, this.#partialBytes, this.#offset, this.#offset + taken);
      this.#partialBytes += taken;
      this.#consume(chunk, taken);
    }
    const message = this.#partial.subarray(0, length);
    this.#partial = EMPTY;
    this.#partialBytes = 0;
    return message;
  }

  #makeRoom(needed: number, length: number): void {
    if (needed <= this.#partial.length) return;
    const grown = Buffer.allocUnsafeSlow(
      Math.min(length, Math.max(FIRST_ROOM, needed, 2 * this.#partial.length)),
    );
    this.#partial.copy(grown, 0, 0, this.#partialBytes);
    this.#partial = grown;
  }

  #consume(chunk: Buffer, bytes: number): void {
    this.#offset += bytes;
    if (this.#offset < chunk.length) return;
    this.#chunks.shift();
    this.#offset = 0;
  }

  #fail(reason: string): false {
    this.#failure = reason;
    this.#chunks = [];
    this.#offset = 0;
    this.#pending = 0;
    this.#headerBytes = 0;
    this.#partial = EMPTY;
    this.#partialBytes = 0;
    return false;
  }
}
