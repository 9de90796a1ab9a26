import { CR, HEX, HTAB, LF, SP } from './chars.ts';

const ChunkState = {
  size: 0,
  blank: 1,
  extension: 2,
  sizeLf: 3,
  data: 4,
  dataCr: 5,
  dataLf: 6,
  trailers: 7,
} as const;

const SEMICOLON = 0x3b;
/** 13 hex digits are 52 bits: the largest size a double holds exactly is above it. Leading zeros count too. */
const MAX_SIZE_DIGITS = 13;

/** CRLF, last chunk, CRLF. */
const END_BYTES = 7;

/**
 * The framing of a chunked body (RFC 9112 section 7.1), apart from its data, which is never touched.
 * Every byte of framing is looked at once, however the reads cut it.
 */
export class ChunkFraming {
  /** Bytes that {@link endsAt} has seen. */
  static readonly END_BYTES: number = END_BYTES;

  private state: number = ChunkState.size;
  private digits = 0;
  private extensionBytes = 0;
  private readonly maxExtensionBytes: number;
  /** Data bytes of this chunk that are still to come. */
  remaining = 0;
  /** What was wrong; empty while all is well. */
  error = '';

  constructor(maxExtensionBytes: number) {
    this.maxExtensionBytes = maxExtensionBytes;
  }

  begin(): void {
    this.state = ChunkState.size;
    this.digits = 0;
    this.extensionBytes = 0;
    this.remaining = 0;
    this.error = '';
  }

  /** The last chunk was read: trailers follow. */
  get atTrailers(): boolean {
    return this.state === ChunkState.trailers;
  }

  /** The next byte is data. */
  get inData(): boolean {
    return this.state === ChunkState.data;
  }

  /** `count` of {@link remaining} bytes were taken. */
  take(count: number): void {
    this.remaining -= count;
    if (this.remaining === 0) this.state = ChunkState.dataCr;
  }

  /**
   * Reads framing up to the next data byte ({@link remaining} is above 0 then), the trailers, an error or the end.
   * @returns the offset where it stopped.
   */
  read(data: Buffer, start: number, end: number): number {
    let p = start;
    while (p < end) {
      const c = data[p] as number;
      switch (this.state) {
        case ChunkState.size: {
          const digit = HEX[c] as number;
          if (digit !== 0) {
            if (++this.digits > MAX_SIZE_DIGITS) return this.fail('chunk size is too large', p);
            this.remaining = this.remaining * 16 + digit - 1;
          } else if (this.digits === 0) return this.fail('chunk size is missing', p);
          else if (c === CR) this.state = ChunkState.sizeLf;
          else if (c === SEMICOLON) this.state = ChunkState.extension;
          else if (c === SP || c === HTAB) this.state = ChunkState.blank;
          else return this.fail('chunk size has an invalid character', p);
          break;
        }
        case ChunkState.blank:
          if (c === SEMICOLON) this.state = ChunkState.extension;
          else if (c !== SP && c !== HTAB) return this.fail('whitespace behind a chunk size', p);
          else if (++this.extensionBytes > this.maxExtensionBytes) {
            return this.fail('chunk extensions are too large', p);
          }
          break;
        case ChunkState.extension:
          if (c === CR) this.state = ChunkState.sizeLf;
          else if ((c < SP && c !== HTAB) || c === 0x7f) {
            return this.fail('chunk extension has a control character', p);
          } else if (++this.extensionBytes > this.maxExtensionBytes) {
            return this.fail('chunk extensions are too large', p);
          }
          break;
        case ChunkState.sizeLf:
          if (c !== LF) return this.fail('CR without LF behind a chunk size', p);
          this.digits = 0;
          if (this.remaining === 0) {
            this.state = ChunkState.trailers;
            return p + 1;
          }
          this.state = ChunkState.data;
          return p + 1;
        case ChunkState.dataCr:
          if (c !== CR) return this.fail('chunk data is longer than its size', p);
          this.state = ChunkState.dataLf;
          break;
        case ChunkState.dataLf:
          if (c !== LF) return this.fail('CR without LF behind chunk data', p);
          this.state = ChunkState.size;
          break;
        default:
          return p;
      }
      p++;
    }
    return p;
  }

  /**
   * True when, with the data of this chunk ending at `p`, the end of the whole body without trailers follows in `data`
   * (so that the last data can be handed over as the last).
   */
  static endsAt(data: Buffer, p: number, end: number): boolean {
    return (
      p + END_BYTES <= end &&
      data[p] === CR &&
      data[p + 1] === LF &&
      data[p + 2] === 0x30 &&
      data[p + 3] === CR &&
      data[p + 4] === LF &&
      data[p + 5] === CR &&
      data[p + 6] === LF
    );
  }

  private fail(error: string, at: number): number {
    this.error = error;
    return at;
  }
}
