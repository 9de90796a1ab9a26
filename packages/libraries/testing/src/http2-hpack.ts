/** Names and values in their order. */
export type FieldLines = readonly (readonly [name: string, value: string])[];

/** RFC 7541 appendix A: `name` or `name: value`. */
const STATIC: readonly (readonly [string, string])[] = [
  ':authority',
  ':method: GET',
  ':method: POST',
  ':path: /',
  ':path: /index.html',
  ':scheme: http',
  ':scheme: https',
  ...['200', '204', '206', '304', '400', '404', '500'].map((status) => `:status: ${status}`),
  'accept-charset',
  'accept-encoding: gzip, deflate',
  ...'accept-language accept-ranges accept access-control-allow-origin age allow authorization'.split(' '),
  ...'cache-control content-disposition content-encoding content-language content-length'.split(' '),
  ...'content-location content-range content-type cookie date etag expect expires from host'.split(' '),
  ...'if-match if-modified-since if-none-match if-range if-unmodified-since last-modified link'.split(' '),
  ...'location max-forwards proxy-authenticate proxy-authorization range referer refresh'.split(' '),
  ...'retry-after server set-cookie strict-transport-security transfer-encoding user-agent vary'.split(' '),
  ...'via www-authenticate'.split(' '),
].map((line) => {
  const colon = line.indexOf(': ');
  return colon < 0 ? [line, ''] : [line.slice(0, colon), line.slice(colon + 2)];
});

/** The first index of the dynamic table. */
export const FIRST_DYNAMIC_INDEX: number = STATIC.length + 1;

/** RFC 7541 appendix B: bits of the code of each byte, then of EOS. The code is canonical, so they say all. */
const HUFFMAN_BITS: readonly number[] = expand(
  '13 23 28*7 24 30 28*2 30 28*8 30 28*9 6 10*2 12 13 6 8 11 10*2 8 11 8 6*3 5*3 6*7 7 8 15 6 12 10 ' +
    '13 6 7*22 8 7 8 13 19 13 14 6 15 5 6 5 6 5 6*3 5 7*2 6*3 5 6 7 6 5*2 6 7*5 15 11 14 13 28 20 22 ' +
    '20*2 22*3 23 22 23*5 24 23 24*2 22 23 24 23*4 21 22 23 22 23*2 24 22 21 20 22*2 23*2 21 23 22*2 ' +
    '24 21 22 23*2 21*2 22 21 23 22 23*2 20 22*3 23 22*2 23 26*2 20 19 22 23 22 25 26*3 27*2 26 24 25 ' +
    '19 21 26 27*2 26 27 24 21*2 26*2 28 27*3 20 24 20 21 22 21*2 23 22*2 25*2 24*2 26 23 26 27 26*2 ' +
    '27*5 28 27*5 26 30',
);

const EOS = 256;

/** A field block in its parts, for a peer that says every byte (RFC 7541 section 6). */
export const hpack = {
  /** A field that stands in a table (section 6.1). From {@link FIRST_DYNAMIC_INDEX} on it is the dynamic one's, the latest first. */
  indexed(index: number): Buffer {
    return integer(index, 7, 0x80);
  },
  /** A field that nobody remembers (section 6.2.2). `name` may be an index. */
  literal(name: string | number, value: string): Buffer {
    return literalField(0x00, 4, name, value);
  },
  /** A field that goes into the dynamic table (section 6.2.1). */
  remembered(name: string | number, value: string): Buffer {
    return literalField(0x40, 6, name, value);
  },
  /** A field that must never go into a table (section 6.2.3). */
  never(name: string | number, value: string): Buffer {
    return literalField(0x10, 4, name, value);
  },
  /** Changes the size of the dynamic table (section 6.3). */
  tableSize(bytes: number): Buffer {
    return integer(bytes, 5, 0x20);
  },
  /** All fields as literals that nobody remembers. */
  block(fields: FieldLines): Buffer {
    return Buffer.concat(fields.map(([name, value]) => literalField(0x00, 4, name, value)));
  },
  integer,
  /** A string literal without Huffman coding (section 5.2), with any bytes. */
  text,
} as const;

/** An integer of RFC 7541 section 5.1 whose first byte has `first` above `prefixBits`. */
function integer(value: number, prefixBits: number, first = 0): Buffer {
  const limit = 2 ** prefixBits - 1;
  if (value < limit) return Buffer.from([first | value]);
  const bytes = [first | limit];
  let rest = value - limit;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  return Buffer.concat([integer(bytes.length, 7), bytes]);
}

function literalField(first: number, prefixBits: number, name: string | number, value: string): Buffer {
  const start =
    typeof name === 'number'
      ? integer(name, prefixBits, first)
      : Buffer.concat([Buffer.from([first]), text(name)]);
  return Buffer.concat([start, text(value)]);
}

/** Reads field blocks, in the order in which they came: each may change the table for those behind it. */
export class HpackDecoder {
  private readonly table: (readonly [string, string])[] = [];
  private tableBytes = 0;
  private maxTableBytes = 4096;

  /** @throws Error when the block is none */
  decode(block: Buffer): [name: string, value: string][] {
    const fields: [string, string][] = [];
    const reader = new BlockReader(block);
    while (!reader.done) {
      const first = reader.peek;
      if ((first & 0x80) !== 0) {
        const [name, value] = this.entry(reader.integer(7));
        fields.push([name, value]);
      } else if ((first & 0xe0) === 0x20) {
        this.maxTableBytes = reader.integer(5);
        this.evict(0);
      } else {
        const remember = (first & 0xc0) === 0x40;
        const index = reader.integer(remember ? 6 : 4);
        const name = index === 0 ? reader.text() : this.entry(index)[0];
        const value = reader.text();
        fields.push([name, value]);
        if (remember) this.remember(name, value);
      }
    }
    return fields;
  }

  private entry(index: number): readonly [string, string] {
    const found = index < FIRST_DYNAMIC_INDEX ? STATIC[index - 1] : this.table[index - FIRST_DYNAMIC_INDEX];
    if (found === undefined) throw new Error(`HPACK: there is no field ${index}`);
    return found;
  }

  private remember(name: string, value: string): void {
    const bytes = name.length + value.length + 32;
    this.evict(bytes);
    if (bytes > this.maxTableBytes) return;
    this.table.unshift([name, value]);
    this.tableBytes += bytes;
  }

  private evict(wanted: number): void {
    while (this.table.length > 0 && this.tableBytes + wanted > this.maxTableBytes) {
      const [name, value] = this.table.pop() as readonly [string, string];
      this.tableBytes -= name.length + value.length + 32;
    }
  }
}

class BlockReader {
  private at = 0;
  private readonly block: Buffer;

  constructor(block: Buffer) {
    this.block = block;
  }

  get done(): boolean {
    return this.at >= this.block.length;
  }

  get peek(): number {
    return this.byteAt(this.at);
  }

  integer(prefixBits: number): number {
    const limit = 2 ** prefixBits - 1;
    let value = this.byteAt(this.at++) & limit;
    if (value < limit) return value;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.byteAt(this.at++);
      value += (byte & 0x7f) * factor;
      if ((byte & 0x80) === 0) return value;
    }
  }

  text(): string {
    const coded = (this.peek & 0x80) !== 0;
    const length = this.integer(7);
    if (this.at + length > this.block.length) throw new Error('HPACK: a string ends behind its block');
    const bytes = this.block.subarray(this.at, this.at + length);
    this.at += length;
    return coded ? unhuffman(bytes) : bytes.toString('latin1');
  }

  private byteAt(at: number): number {
    const byte = this.block[at];
    if (byte === undefined) throw new Error('HPACK: the block ends early');
    return byte;
  }
}

/** Code → symbol; codes have a 1 in front, so that leading zeros count. */
let codes: Map<number, number> | undefined;

function unhuffman(bytes: Buffer): string {
  codes ??= canonicalCodes();
  let code = 1;
  let result = '';
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit--) {
      code = code * 2 + ((byte >> bit) & 1);
      const symbol = codes.get(code);
      if (symbol === undefined) continue;
      if (symbol === EOS) throw new Error('HPACK: EOS in a string');
      result += String.fromCharCode(symbol);
      code = 1;
    }
  }
  return result;
}

function canonicalCodes(): Map<number, number> {
  const symbols = HUFFMAN_BITS.map((_, symbol) => symbol).sort(
    (a, b) => (HUFFMAN_BITS[a] as number) - (HUFFMAN_BITS[b] as number) || a - b,
  );
  const found = new Map<number, number>();
  let code = 0;
  let bits = 0;
  for (const symbol of symbols) {
    const length = HUFFMAN_BITS[symbol] as number;
    code *= 2 ** (length - bits);
    bits = length;
    found.set(code + 2 ** length, symbol);
    code++;
  }
  return found;
}

/** `5 6*2` is 5, 6, 6. */
function expand(list: string): number[] {
  return list.split(' ').flatMap((item) => {
    const [value, times = '1'] = item.split('*');
    return Array<number>(Number(times)).fill(Number(value));
  });
}
