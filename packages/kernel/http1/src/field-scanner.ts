import { COLON, CR, FIELD_VALUE, HTAB, LF, SP, TOKEN_LOWER } from './chars.ts';
import { Http1Details } from './details.ts';
import { lookupName } from './names.ts';

/** Answer of a scan that ran out of bytes. */
export const INCOMPLETE = -1;
/** Answer of a scan that met bytes which are no HTTP: see {@link FieldScanner.details}. */
export const INVALID = -2;

/** Numbers kept for each field: name start and end, value start and end (offsets into the bytes), name reference. */
export const MARKS = 5;
/** Name reference: not interned, all lower case. */
export const UNKNOWN_LOWER = -1;
/** Name reference: not interned, has upper-case letters. */
export const UNKNOWN_MIXED = -2;

let viewed: ArrayBufferLike | undefined;
let view: DataView = new DataView(new ArrayBuffer(4));

/** A view on all of the memory that `data` lies in. Reads lie in few buffers, so the last view nearly always fits. */
export function viewOf(data: Buffer): DataView {
  const memory = data.buffer;
  if (memory !== viewed) {
    viewed = memory;
    view = new DataView(memory);
  }
  return view;
}

/**
 * Finds and checks the field lines of a head or of trailers (RFC 9112 section 5), as offsets: no string is made before
 * all of it has been seen. One scanner serves a thread: a scan and the use of its marks happen in one go.
 *
 * Values are checked four bytes at a time (measured on a head of 556 bytes: 135 ns, byte by byte through a table
 * 630 ns, `charCodeAt` on a string 530 ns).
 */
export class FieldScanner {
  marks: Int32Array = new Int32Array(MARKS * 128);
  count = 0;
  details = '';
  message = '';
  tooMany = false;

  /**
   * Reads field lines from `start` up to and with the empty line.
   * @returns the offset behind the empty line, {@link INCOMPLETE} or {@link INVALID}.
   */
  scan(data: Buffer, start: number, end: number, maxFields: number): number {
    let marks = this.marks;
    const bytes = viewOf(data);
    const shift = data.byteOffset;
    let count = 0;
    let p = start;
    this.tooMany = false;
    for (;;) {
      if (p >= end) return INCOMPLETE;
      let c = data[p] as number;
      const nameStart = p;
      let hash = 0;
      let mixed = 0;
      let lower: number;
      while ((lower = TOKEN_LOWER[c] as number) !== 0) {
        hash = ((hash << 5) - hash + lower) | 0;
        mixed |= c ^ lower;
        if (++p >= end) return INCOMPLETE;
        c = data[p] as number;
      }
      if (c !== COLON || p === nameStart) {
        if (p !== nameStart || c !== CR) return this.badName(c, p === nameStart, count);
        if (p + 1 >= end) return INCOMPLETE;
        if (data[p + 1] !== LF) return this.fail(Http1Details.codecError, 'CR without LF');
        this.count = count;
        return p + 2;
      }
      if (count === maxFields) {
        this.tooMany = true;
        return this.fail(Http1Details.tooManyHeaders, `more than ${maxFields} header lines`);
      }
      const nameEnd = p;
      do {
        if (++p >= end) return INCOMPLETE;
        c = data[p] as number;
      } while (c === SP || c === HTAB);
      const valueStart = p;
      // A byte below 0x20 or equal to 0x7f sets its top bit in one of the two terms.
      while (p + 4 <= end) {
        const word = bytes.getInt32(shift + p, true);
        const noDel = word ^ 0x7f7f7f7f;
        const hit = ((word - 0x20202020) & ~word) | ((noDel - 0x01010101) & ~noDel);
        if ((hit & 0x80808080) !== 0) break;
        p += 4;
      }
      for (;;) {
        if (p >= end) return INCOMPLETE;
        c = data[p] as number;
        if (FIELD_VALUE[c] === 0) break;
        p++;
      }
      if (c !== CR) return this.badValue(c);
      if (p + 1 >= end) return INCOMPLETE;
      if (data[p + 1] !== LF) return this.fail(Http1Details.codecError, 'CR without LF');
      let valueEnd = p;
      while (valueEnd > valueStart && (data[valueEnd - 1] === SP || data[valueEnd - 1] === HTAB)) valueEnd--;
      p += 2;
      const at = count * MARKS;
      if (at === marks.length) marks = this.grow();
      const known = lookupName(data, nameStart, nameEnd, hash);
      marks[at] = nameStart;
      marks[at + 1] = nameEnd;
      marks[at + 2] = valueStart;
      marks[at + 3] = valueEnd;
      marks[at + 4] = known >= 0 ? known : mixed === 0 ? UNKNOWN_LOWER : UNKNOWN_MIXED;
      count++;
    }
  }

  private grow(): Int32Array {
    const marks = new Int32Array(this.marks.length * 2);
    marks.set(this.marks);
    this.marks = marks;
    return marks;
  }

  private badName(c: number, empty: boolean, count: number): number {
    if (c === LF) return this.fail(Http1Details.codecError, 'LF without CR');
    if (c === CR) return this.fail(Http1Details.codecError, 'header line without a colon');
    if (c === COLON) return this.fail(Http1Details.codecError, 'empty header name');
    if (c !== SP && c !== HTAB) {
      return this.fail(Http1Details.invalidCharacters, 'invalid character in a header name');
    }
    if (!empty) return this.fail(Http1Details.codecError, 'whitespace in or behind a header name');
    return this.fail(
      Http1Details.codecError,
      count === 0 ? 'whitespace before the first header' : 'folded header line',
    );
  }

  private badValue(c: number): number {
    if (c === LF) return this.fail(Http1Details.codecError, 'LF without CR');
    return this.fail(Http1Details.invalidCharacters, 'control character in a header value');
  }

  fail(details: string, message: string): number {
    this.details = details;
    this.message = message;
    return INVALID;
  }
}
