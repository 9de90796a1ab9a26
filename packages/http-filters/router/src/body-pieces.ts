/** So many chunks are kept as they came; behind them small ones share blocks. */
const FEW = 32;
const BLOCK_BYTES = 16 * 1024;

export const NO_CHUNKS: readonly Buffer[] = [];

/**
 * Body that is kept in order. A client that sends a byte at a time must not make it cost an object a byte: past the first
 * few, small chunks are put together.
 */
export class BodyPieces {
  readonly chunks: Buffer[] = [];
  bytes = 0;
  /** Being filled; what is filled of it is the last chunk. */
  private block: Buffer | undefined = undefined;
  private filled = 0;

  /** Keeps a copy of `chunk`, which may be borrowed; gives the copy. */
  add(chunk: Buffer): Buffer {
    const { length } = chunk;
    if (length === 0) return chunk;
    if (this.chunks.length < FEW || length >= BLOCK_BYTES) {
      const copy = Buffer.from(chunk);
      this.block = undefined;
      this.push(copy);
      return copy;
    }
    if (this.block === undefined || this.filled + length > BLOCK_BYTES) {
      this.block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
      this.filled = 0;
    }
    const { block, filled } = this;
    chunk.copy(block, filled);
    const copy = block.subarray(filled, filled + length);
    this.filled += length;
    this.addOwned(copy);
    return copy;
  }

  /** Keeps `chunk` itself, which nobody changes. */
  addOwned(chunk: Buffer): void {
    if (chunk.length === 0) return;
    const last = this.chunks.at(-1);
    if (this.chunks.length < FEW || last === undefined || !follows(last, chunk)) {
      this.push(chunk);
      return;
    }
    this.bytes += chunk.length;
    this.chunks[this.chunks.length - 1] = Buffer.from(
      last.buffer,
      last.byteOffset,
      last.length + chunk.length,
    );
  }

  private push(chunk: Buffer): void {
    this.chunks.push(chunk);
    this.bytes += chunk.length;
  }
}

/** Whether `next` lies in memory right behind `last`. */
function follows(last: Buffer, next: Buffer): boolean {
  return last.buffer === next.buffer && last.byteOffset + last.length === next.byteOffset;
}
