import { CR, FIELD_VALUE, LF } from './chars.ts';

const FIRST_BYTES = 1024;

export const HeadProgress = { more: 0, complete: 1, tooLarge: 2, invalid: 3 } as const;

/**
 * Gathers a head (or trailers) which did not come in one read. Every byte is looked at once while it arrives, for
 * the empty line that ends the head; what cannot be part of any head is refused at once.
 */
export class HeadBuffer {
  private bytes: Buffer | undefined = undefined;
  private fill = 0;
  private lineLength = 0;
  private afterCr = false;
  /** Offset behind what the last {@link add} took. */
  consumed = 0;

  get active(): boolean {
    return this.fill !== 0;
  }

  get length(): number {
    return this.fill;
  }

  /** Takes bytes up to the end of the head. */
  add(data: Buffer, start: number, end: number, limit: number): number {
    let p = start;
    let progress: number = HeadProgress.more;
    let { lineLength, afterCr } = this;
    while (p < end) {
      const c = data[p++] as number;
      if (c === LF) {
        if (!afterCr) return HeadProgress.invalid;
        if (lineLength === 0) {
          progress = HeadProgress.complete;
          break;
        }
        afterCr = false;
        lineLength = 0;
      } else if (afterCr) return HeadProgress.invalid;
      else if (c === CR) afterCr = true;
      else if (FIELD_VALUE[c] !== 0) lineLength++;
      else return HeadProgress.invalid;
    }
    if (this.fill + p - start > limit) return HeadProgress.tooLarge;
    this.lineLength = lineLength;
    this.afterCr = afterCr;
    this.append(data, start, p);
    this.consumed = p;
    return progress;
  }

  /** The head. What is returned belongs to the caller; the buffer is empty again. */
  takeBytes(): Buffer {
    const bytes = (this.bytes as Buffer).subarray(0, this.fill);
    this.clear();
    return bytes;
  }

  clear(): void {
    this.bytes = undefined;
    this.fill = 0;
    this.lineLength = 0;
    this.afterCr = false;
  }

  private append(data: Buffer, start: number, end: number): void {
    const needed = this.fill + end - start;
    let bytes = this.bytes;
    if (bytes === undefined || bytes.length < needed) {
      const grown = Buffer.allocUnsafeSlow(Math.max(FIRST_BYTES, needed * 2));
      bytes?.copy(grown, 0, 0, this.fill);
      this.bytes = grown;
      bytes = grown;
    }
    data.copy(bytes, this.fill, start, end);
    this.fill = needed;
  }
}
