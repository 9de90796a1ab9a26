import { CR, FIELD_VALUE, HEX, HTAB, LF, SP, TOKEN_LOWER } from './chars.ts';

const ChunkState = {
  size: 0,
  /** Blanks behind the size or a value, before a semicolon. */
  blank: 1,
  /** Behind a semicolon, before or in a name. */
  name: 2,
  /** Blanks behind a name. */
  afterName: 3,
  /** Behind a quoted value. */
  afterValue: 4,
  /** Behind an equals sign. */
  valueStart: 5,
  value: 6,
  quoted: 7,
  escaped: 8,
  sizeLf: 9,
  data: 10,
  dataCr: 11,
  dataLf: 12,
  trailers: 13,
} as const;

const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
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
  /** Bytes of the extension name in hand. */
  private namedBytes = 0;
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
          else if (c === SEMICOLON || c === SP || c === HTAB) {
            this.namedBytes = 0;
            this.state = c === SEMICOLON ? ChunkState.name : ChunkState.blank;
          } else return this.fail('chunk size has an invalid character', p);
          break;
        }
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
        case ChunkState.data:
        case ChunkState.trailers:
          return p;
        default:
          if (!this.readExtension(c)) return this.fail('malformed or oversized chunk extension', p);
      }
      p++;
    }
    return p;
  }

  /** One byte of `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )` (RFC 9112 section 7.1.1) and the CR behind. */
  private readExtension(c: number): boolean {
    if (++this.extensionBytes > this.maxExtensionBytes) return false;
    const blank = c === SP || c === HTAB;
    switch (this.state) {
      case ChunkState.blank:
        return c === SEMICOLON ? this.endExtension(c) : blank;
      case ChunkState.name:
        if (TOKEN_LOWER[c] !== 0) this.namedBytes++;
        else if (this.namedBytes === 0) return blank;
        else if (c === EQUALS) this.state = ChunkState.valueStart;
        else if (blank) this.state = ChunkState.afterName;
        else return this.endExtension(c);
        return true;
      case ChunkState.afterName:
        if (c === EQUALS) this.state = ChunkState.valueStart;
        else if (c === SEMICOLON) return this.endExtension(c);
        else return blank;
        return true;
      case ChunkState.valueStart:
        if (c === QUOTE) this.state = ChunkState.quoted;
        else if (TOKEN_LOWER[c] !== 0) this.state = ChunkState.value;
        else return blank;
        return true;
      case ChunkState.value:
        if (TOKEN_LOWER[c] !== 0) return true;
        if (!blank) return this.endExtension(c);
        this.state = ChunkState.blank;
        return true;
      case ChunkState.afterValue:
        if (!blank) return this.endExtension(c);
        this.state = ChunkState.blank;
        return true;
      case ChunkState.quoted:
        if (c === QUOTE) this.state = ChunkState.afterValue;
        else if (c === BACKSLASH) this.state = ChunkState.escaped;
        else return FIELD_VALUE[c] !== 0;
        return true;
      default:
        this.state = ChunkState.quoted;
        return FIELD_VALUE[c] !== 0;
    }
  }

  private endExtension(c: number): boolean {
    this.namedBytes = 0;
    if (c === SEMICOLON) this.state = ChunkState.name;
    else if (c === CR) this.state = ChunkState.sizeLf;
    else return false;
    return true;
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
