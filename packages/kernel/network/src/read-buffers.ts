/**
 * Size of the buffer that all connections of a thread read into by turns. One read fills it whole only when bulk data is
 * coming, and then the connection gets a buffer of its own.
 */
export const SHARED_READ_BYTES = 64 * 1024;

/** Size of a bulk connection's own buffer: at 256 KiB the cost of a read is small against its copy in the kernel (measured with 64 KiB … 1 MiB; no gain above). */
export const BULK_READ_BYTES = 256 * 1024;

/** Bulk buffers kept for the next transfer; the rest is left to the garbage collector. */
const MAX_SPARE_BULK = 16;

/** The read buffers of one thread. */
export class ReadBuffers {
  /** Whatever is read into it must be used or copied before the read's callback returns. */
  readonly shared: Buffer = Buffer.allocUnsafeSlow(SHARED_READ_BYTES);
  private readonly spare: Buffer[] = [];

  takeBulk(): Buffer {
    return this.spare.pop() ?? Buffer.allocUnsafeSlow(BULK_READ_BYTES);
  }

  giveBulk(buffer: Buffer): void {
    if (this.spare.length < MAX_SPARE_BULK) this.spare.push(buffer);
  }
}
