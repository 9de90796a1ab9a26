import type { HeaderProgress } from './header.ts';
import { MAX_V1_BYTES, readV1 } from './header-v1.ts';
import { readV2, V2_FIXED_BYTES } from './header-v2.ts';

const V1_SIGNATURE = Buffer.from('PROXY ', 'latin1');
const V2_SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const CR = 13;
const LF = 10;
/** A v2 header with addresses of Unix sockets: as much as is asked for before the length is known. */
export const FIRST_BYTES = V2_FIXED_BYTES + 216;

/** Which versions are looked for when there need not be a header. */
export interface Versions {
  readonly v1: boolean;
  readonly v2: boolean;
}

/** Finds the header at the front of a connection, however its bytes arrive. */
export class HeaderReader {
  /** The next byte that may be the LF of a v1 header. */
  private next = 1;

  /**
   * @param bytes everything that has arrived, one byte or more; begins with what was given before
   * @param optional the versions whose signatures count when the header may be missing; undefined: it may not
   */
  read(bytes: Buffer, optional: Versions | undefined): HeaderProgress {
    if (optional !== undefined) {
      const may =
        (optional.v1 && beginsLike(bytes, V1_SIGNATURE)) || (optional.v2 && beginsLike(bytes, V2_SIGNATURE));
      if (!may) return { state: 'not-found' };
    }
    if (bytes.length >= V2_FIXED_BYTES) {
      if (beginsLike(bytes, V2_SIGNATURE)) return readV2(bytes);
      if (!beginsLike(bytes, V1_SIGNATURE)) return { state: 'not-found' };
    }
    return this.readLine(bytes);
  }

  private readLine(bytes: Buffer): HeaderProgress {
    for (; this.next < bytes.length; this.next++) {
      if (bytes[this.next] !== LF || bytes[this.next - 1] !== CR) continue;
      // An empty line may be the beginning of the v2 signature.
      if (this.next === 1) break;
      const length = this.next + 1;
      return length > MAX_V1_BYTES ? { state: 'error', version: 1 } : readV1(bytes, length);
    }
    return this.next > MAX_V1_BYTES ? { state: 'endless' } : { state: 'more', bytes: 0 };
  }
}

/** As far as there are bytes. */
function beginsLike(bytes: Buffer, signature: Buffer): boolean {
  const length = Math.min(bytes.length, signature.length);
  return signature.compare(bytes, 0, length, 0, length) === 0;
}
