import { FRAME_HEADER_BYTES } from './frame.ts';

/**
 * Counts messages as their bytes pass, and keeps none. As Envoy's, it counts a message when its first byte comes, and takes
 * any flags; bytes that are no gRPC make some number, never an error.
 */
export class GrpcFrameCounter {
  #headerBytes = 0;
  /** Built from the header's last four bytes. */
  #length = 0;
  #left = 0;
  #count = 0;

  /** Messages begun so far. */
  get count(): number {
    return this.#count;
  }

  /** Takes the next bytes; says how many messages begin in them. */
  push(chunk: Uint8Array): number {
    const before = this.#count;
    let at = 0;
    while (at < chunk.length) {
      if (this.#left > 0) {
        const taken = Math.min(this.#left, chunk.length - at);
        this.#left -= taken;
        at += taken;
        continue;
      }
      const byte = chunk[at++] as number;
      if (this.#headerBytes === 0) this.#count++;
      else this.#length = this.#length * 256 + byte;
      if (++this.#headerBytes < FRAME_HEADER_BYTES) continue;
      this.#left = this.#length;
      this.#headerBytes = 0;
      this.#length = 0;
    }
    return this.#count - before;
  }
}
