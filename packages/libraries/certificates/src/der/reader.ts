import { failed, type Result, succeeded } from '../result.ts';

/** Bytes that are not the DER they should be. Never leaves this package: {@link reading} makes a result of it. */
export class DerError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'DerError';
  }
}

/** Runs a parser. What it cannot read becomes a result; a mistake of ours is still thrown. */
export function reading<T>(parse: () => T): Result<T> {
  try {
    return succeeded(parse());
  } catch (error) {
    if (error instanceof DerError) return failed(error.message);
    throw error;
  }
}

/** Universal tags, with the bit that says constructed where the type has it. */
export const Tag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  numericString: 0x12,
  printableString: 0x13,
  t61String: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  visibleString: 0x1a,
  generalString: 0x1b,
  universalString: 0x1c,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const;

/** `[number]` of a primitive value. */
export const context = (number: number): number => 0x80 | number;

/** `[number]` of a constructed value. */
export const contextConstructed = (number: number): number => 0xa0 | number;

/** One value: where its contents are, and where all of it is. */
export interface DerValue {
  readonly tag: number;
  readonly body: Buffer;
  /** With tag and length. */
  readonly whole: Buffer;
}

/**
 * Reads DER in order, and nothing else: definite lengths in their shortest form, tags of one byte, no value longer than what it stands
 * in. Values are views of the input. It goes into no value by itself, so nesting costs no stack.
 */
export class DerReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** The tag of the next value, -1 at the end. */
  get tag(): number {
    return this.done ? -1 : (this.#bytes[this.#at] as number);
  }

  /** The next value, which may be of any type. */
  any(): DerValue {
    const bytes = this.#bytes;
    const start = this.#at;
    if (start + 2 > bytes.length) throw new DerError('a value is cut off');
    const tag = bytes[start] as number;
    if ((tag & 0x1f) === 0x1f) throw new DerError('a tag has more than one byte');
    let length = bytes[start + 1] as number;
    let body = start + 2;
    if (length >= 0x80) {
      const count = length & 0x7f;
      if (count === 0 || count > 4 || body + count > bytes.length)
        throw new DerError('a length is indefinite, too large or cut off');
      length = bytes.readUIntBE(body, count);
      body += count;
      if (length < 0x80 || length < 2 ** ((count - 1) * 8))
        throw new DerError('a length is not in its shortest form');
    }
    const end = body + length;
    if (end > bytes.length) throw new DerError('a value is longer than what it stands in');
    this.#at = end;
    return { tag, body: bytes.subarray(body, end), whole: bytes.subarray(start, end) };
  }

  /** The next value, which has to have this tag. */
  expect(tag: number): DerValue {
    if (this.tag !== tag) throw new DerError(`expected ${nameOf(tag)}, found ${nameOf(this.tag)}`);
    return this.any();
  }

  /** The next value if it has this tag. */
  optional(tag: number): DerValue | undefined {
    return this.tag === tag ? this.any() : undefined;
  }

  /** Into the next value, which has to have this tag. */
  enter(tag: number): DerReader {
    return new DerReader(this.expect(tag).body);
  }

  sequence(): DerReader {
    return this.enter(Tag.sequence);
  }

  /** Into the next value if it has this tag. */
  enterOptional(tag: number): DerReader | undefined {
    const value = this.optional(tag);
    return value === undefined ? undefined : new DerReader(value.body);
  }

  /** Nothing may follow. */
  end(): void {
    if (!this.done) throw new DerError('there is more than expected');
  }
}

/** The single value that bytes consist of. */
export function wholeOf(bytes: Buffer, tag: number): DerReader {
  const outer = new DerReader(bytes);
  const inner = outer.enter(tag);
  outer.end();
  return inner;
}

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(Tag).map(([name, tag]) => [tag as number, name]),
);

function nameOf(tag: number): string {
  if (tag < 0) return 'the end';
  return NAMES.get(tag) ?? `tag 0x${tag.toString(16).padStart(2, '0')}`;
}
