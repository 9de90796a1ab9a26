/**
 * Size of the buffer that all connections of a thread read into by turns. One read fills it whole only when bulk data is
 * coming, and then the connection gets a buffer of its own.
 */
export const SHARED_READ_BYTES = 64 * 1024;

/** Size of a bulk connection's own buffer: at 256 KiB the cost of a read is small against its copy in the kernel (measured with 64 KiB … 1 MiB; no gain above). */
export const BULK_READ_BYTES = 256 * 1024;

/** Bulk buffers kept for the next transfer; the rest is left to the garbage collector. */
const MAX_SPARE_BULK = 16;

/** Copies are given back at once when the kernel takes a chunk whole, so few are ever out. */
const MAX_SPARE_COPIES = 4;

/** The read buffers of one thread. */
export class ReadBuffers {
  /** Whatever is read into it must be used or copied before the read's callback returns. */
  readonly shared: Buffer = Buffer.allocUnsafeSlow(SHARED_READ_BYTES);
  private readonly spare: Buffer[] = [];
  private readonly spareCopies: Buffer[] = [];

  takeBulk(): Buffer {
    return this.spare.pop() ?? Buffer.allocUnsafeSlow(BULK_READ_BYTES);
  }

  giveBulk(buffer: Buffer): void {
    if (this.spare.length < MAX_SPARE_BULK) this.spare.push(buffer);
  }

  /**
   * A buffer of {@link SHARED_READ_BYTES} to copy a borrowed chunk into while it is written. They are used again because
   * fresh ones count as external memory, which makes V8 mark the whole heap: 15 % of the CPU of a 1 MiB response (measured).
   */
  takeCopy(): Buffer {
    return this.spareCopies.pop() ?? Buffer.allocUnsafeSlow(SHARED_READ_BYTES);
  }

  giveCopy(buffer: Buffer): void {
    if (this.spareCopies.length < MAX_SPARE_COPIES) this.spareCopies.push(buffer);
  }
}
