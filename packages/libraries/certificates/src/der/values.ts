import { DerError, DerReader, type DerValue, Tag } from './reader.ts';

/** DER has one byte for true, 0xff. */
export function readBoolean(body: Buffer): boolean {
  if (body.length !== 1 || (body[0] !== 0x00 && body[0] !== 0xff)) throw new DerError('not a boolean');
  return body[0] === 0xff;
}

/** The two's complement bytes of an INTEGER, in their shortest form. */
export function checkInteger(body: Buffer): Buffer {
  const [first, second] = body;
  if (first === undefined) throw new DerError('an integer has no bytes');
  if (second !== undefined && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80)))
    throw new DerError('an integer is not in its shortest form');
  return body;
}

/** An INTEGER or ENUMERATED that fits into 32 bits. */
export function readSmallInteger(body: Buffer): number {
  checkInteger(body);
  if (body.length > 4) throw new DerError('an integer is too large');
  return body.readIntBE(0, body.length);
}

export function readBigInteger(body: Buffer): bigint {
  checkInteger(body);
  return BigInt.asIntN(body.length * 8, BigInt(`0x${body.toString('hex')}`));
}

/** The bytes of a BIT STRING whose length is a multiple of eight. */
export function readWholeBits(body: Buffer): Buffer {
  if (body[0] !== 0) throw new DerError('a bit string does not end with a whole byte');
  return body.subarray(1);
}

/** A BIT STRING of named bits: bit n of the result is bit n of the type. Zero bits at the end are allowed. */
export function readNamedBits(body: Buffer): number {
  const unused = body[0];
  if (unused === undefined || unused > 7 || (body.length === 1 && unused !== 0))
    throw new DerError('not a bit string');
  let bits = 0;
  for (let i = 0; i < (body.length - 1) * 8 - unused && i < 31; i++) {
    if (((body[1 + (i >> 3)] as number) & (0x80 >> (i & 7))) !== 0) bits |= 1 << i;
  }
  return bits;
}

/** Longest OID, in bytes: real ones have some 10. */
const MAX_OID_BYTES = 128;

/** An OBJECT IDENTIFIER as text: `2.5.4.3`. */
export function readOid(body: Buffer): string {
  if (body.length === 0 || body.length > MAX_OID_BYTES || (body[body.length - 1] as number) >= 0x80)
    throw new DerError('not an object identifier');
  const arcs: string[] = [];
  let value = 0n;
  let fresh = true;
  for (const byte of body) {
    if (fresh && byte === 0x80) throw new DerError('an arc of an object identifier has a leading zero');
    value = (value << 7n) | BigInt(byte & 0x7f);
    fresh = byte < 0x80;
    if (!fresh) continue;
    if (arcs.length === 0) {
      const first = value < 80n ? value / 40n : 2n;
      arcs.push(String(first), String(value - first * 40n));
    } else {
      arcs.push(String(value));
    }
    value = 0n;
  }
  return arcs.join('.');
}

/** UTCTime or GeneralizedTime as RFC 5280 has them (seconds, `Z`, no fractions), wall time in ms. */
export function readTime(value: DerValue): number {
  const text = value.body.toString('latin1');
  const match = (value.tag === Tag.utcTime ? UTC : GENERALIZED).exec(text);
  if (match === null || (value.tag !== Tag.utcTime && value.tag !== Tag.generalizedTime))
    throw new DerError('not a time');
  const [, written, ...rest] = match;
  const [month, day, hour, minute, second] = rest.map(Number) as [number, number, number, number, number];
  const year = value.tag === Tag.utcTime ? century(Number(written)) : Number(written);
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  // A 31st of June or a 25th hour would have moved on.
  const same =
    date.getUTCMonth() === month - 1 &&
    date.getUTCDate() === day &&
    date.getUTCHours() === hour &&
    date.getUTCMinutes() === minute &&
    date.getUTCSeconds() === second;
  if (!same) throw new DerError('a time that does not exist');
  return date.getTime();
}

const UTC = /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;
const GENERALIZED = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;

function century(year: number): number {
  return year >= 50 ? 1900 + year : 2000 + year;
}

/** An AlgorithmIdentifier. */
export interface Algorithm {
  readonly oid: string;
  /** The DER of the parameters, absent when there are none. */
  readonly parameters: Buffer | undefined;
  readonly whole: Buffer;
}

export function readAlgorithm(reader: DerReader): Algorithm {
  const { body, whole } = reader.expect(Tag.sequence);
  const inner = new DerReader(body);
  const oid = readOid(inner.expect(Tag.oid).body);
  const parameters = inner.done ? undefined : inner.any().whole;
  inner.end();
  return { oid, parameters, whole };
}
