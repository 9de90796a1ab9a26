/** What a server answered. Of strings with a length, and of arrays, only the kind is kept. */
export interface RespAnswer {
  readonly kind: 'simple' | 'error' | 'integer' | 'bulk' | 'array' | 'null';
  /** Of simple strings, errors and integers: the line. */
  readonly text: string;
}

const CR = 0x0d;
const LF = 0x0a;
/** A line of an answer, bytes. */
const MAX_LINE_BYTES = 64 * 1024;
/** A string with a length, bytes: what Redis itself allows. It is skipped, not kept. */
const MAX_BULK_BYTES = 512 * 1024 * 1024;
/** Values of an answer, those of arrays included. */
const MAX_VALUES = 1024 * 1024;
/** Arrays in arrays. */
const MAX_DEPTH = 32;
const INTEGER = /^-?\d{1,19}$/;

/**
 * Reads one answer of the Redis protocol (RESP2) from bytes in pieces. Memory: one line.
 */
export class RespReader {
  /** Why the bytes are no answer, once they are found not to be. */
  failure: string | undefined;
  /** Bytes that came behind the answer. */
  surplus = false;
  private line = '';
  private sawCr = false;
  /** Bytes of a string, with its line end, that are still to come. */
  private skip = 0;
  /** How many values each open array still wants, the innermost last. */
  private readonly open: number[] = [];
  private values = 0;
  private first: RespAnswer | undefined;
  private answer: RespAnswer | undefined;

  /** @returns the answer once all of it has come; undefined before, and after a {@link failure} */
  push(chunk: Buffer): RespAnswer | undefined {
    let at = 0;
    while (at < chunk.length && this.answer === undefined && this.failure === undefined) {
      at = this.skip > 0 ? this.skipBytes(chunk, at) : this.readLine(chunk, at);
    }
    if (this.answer !== undefined && at < chunk.length) this.surplus = true;
    return this.failure === undefined ? this.answer : undefined;
  }

  private skipBytes(chunk: Buffer, at: number): number {
    const taken = Math.min(this.skip, chunk.length - at);
    for (let i = Math.max(0, this.skip - 2); i < taken; i++) {
      // The last two are the line end.
      const expected = this.skip - i === 2 ? CR : this.skip - i === 1 ? LF : undefined;
      if (expected !== undefined && chunk[at + i] !== expected)
        this.fail('a string does not end as its length says');
    }
    this.skip -= taken;
    if (this.skip === 0) this.valueDone();
    return at + taken;
  }

  private readLine(chunk: Buffer, at: number): number {
    if (this.sawCr) {
      this.sawCr = false;
      const { line } = this;
      this.line = '';
      if (chunk[at] === LF) this.take(line);
      else this.fail('a carriage return without a line feed');
      return at + 1;
    }
    const cr = chunk.indexOf(CR, at);
    const end = cr < 0 ? chunk.length : cr;
    if (this.line.length + end - at > MAX_LINE_BYTES) {
      this.fail(`a line of more than ${MAX_LINE_BYTES} bytes`);
      return chunk.length;
    }
    this.line += chunk.toString('latin1', at, end);
    // What begins otherwise never becomes an answer, however much comes of it.
    if (this.line !== '' && !'+-:$*'.includes(this.line.charAt(0))) this.fail('no answer of a Redis server');
    if (cr < 0) return chunk.length;
    this.sawCr = true;
    return cr + 1;
  }

  private take(line: string): void {
    if (++this.values > MAX_VALUES) {
      this.fail(`more than ${MAX_VALUES} values`);
      return;
    }
    const text = line.slice(1);
    switch (line.charAt(0)) {
      case '+':
        this.value({ kind: 'simple', text });
        break;
      case '-':
        this.value({ kind: 'error', text });
        break;
      case ':':
        if (INTEGER.test(text)) this.value({ kind: 'integer', text });
        else this.fail('an integer is expected');
        break;
      case '$':
        this.takeBulk(text);
        break;
      case '*':
        this.takeArray(text);
        break;
      default:
        this.fail('no answer of a Redis server');
    }
  }

  private takeBulk(text: string): void {
    const length = INTEGER.test(text) ? Number(text) : Number.NaN;
    if (length < 0) this.value({ kind: 'null', text: '' });
    else if (!(length <= MAX_BULK_BYTES)) this.fail('the length of a string is wrong');
    else {
      this.first ??= { kind: 'bulk', text: '' };
      this.skip = length + 2;
    }
  }

  private takeArray(text: string): void {
    const length = INTEGER.test(text) ? Number(text) : Number.NaN;
    if (length < 0) this.value({ kind: 'null', text: '' });
    else if (!(length <= MAX_VALUES) || this.open.length === MAX_DEPTH)
      this.fail('an array is too long or too deep');
    else {
      this.first ??= { kind: 'array', text: '' };
      if (length === 0) this.valueDone();
      else this.open.push(length);
    }
  }

  private value(value: RespAnswer): void {
    this.first ??= value;
    this.valueDone();
  }

  private valueDone(): void {
    const { open } = this;
    while (open.length > 0) {
      const left = (open.pop() as number) - 1;
      if (left > 0) {
        open.push(left);
        return;
      }
    }
    this.answer = this.first;
  }

  private fail(reason: string): void {
    this.failure = reason;
  }
}
