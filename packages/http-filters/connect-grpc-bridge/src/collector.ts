/** Below this, bytes, chunks are copied together: many small ones would weigh more than their bytes. */
const SMALL = 1024;

/** Keeps a body. */
export class Collector {
  length = 0;
  private parts: Buffer[] = [];

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.length += chunk.length;
    const last = this.parts.at(-1);
    if (last !== undefined && last.length + chunk.length <= SMALL)
      this.parts[this.parts.length - 1] = Buffer.concat([last, chunk]);
    else this.parts.push(chunk);
  }

  /** All of it, once. */
  take(): Buffer {
    const all = this.parts.length === 1 ? (this.parts[0] as Buffer) : Buffer.concat(this.parts);
    this.parts = [];
    this.length = 0;
    return all;
  }
}
