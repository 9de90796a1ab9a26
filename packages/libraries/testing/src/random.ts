import type { RandomSource } from '@dragoman/core';

const TWO_32 = 2 ** 32;
const TWO_53 = 2 ** 53;

/** Random numbers that are the same for the same seed (the sfc32 generator). Not for secrets. */
export class SeededRandom implements RandomSource {
  readonly seed: number;
  private a: number;
  private b: number;
  private c: number;
  private counter = 1;

  /** @param seed any number; its low 32 bits count. Default 1 */
  constructor(seed = 1) {
    this.seed = seed;
    this.a = seed | 0;
    this.b = Math.imul(seed, 0x9e3779b1) | 0;
    this.c = ~seed;
    // The first outputs of neighbouring seeds are alike.
    for (let round = 0; round < 12; round++) this.bits();
  }

  random(): number {
    return this.next() / TWO_53;
  }

  next(): number {
    return (this.bits() >>> 11) * TWO_32 + (this.bits() >>> 0);
  }

  uuid(): string {
    let hex = '';
    for (let word = 0; word < 4; word++) hex += (this.bits() >>> 0).toString(16).padStart(8, '0');
    const variant = ((Number.parseInt(hex[16], 16) & 3) | 8).toString(16);
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`;
  }

  private bits(): number {
    const result = (this.a + this.b + this.counter) | 0;
    this.counter = (this.counter + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = (((this.c << 21) | (this.c >>> 11)) + result) | 0;
    return result;
  }
}

/** Random numbers that a test dictates: each call takes the next of the list, and a list that has run out is an error. */
export class ScriptedRandom implements RandomSource {
  private readonly values: number[];

  /** @param values what {@link next} returns, in turn; whole numbers in [0, 2⁵³) */
  constructor(values: readonly number[]) {
    this.values = [...values];
  }

  random(): number {
    return this.next() / TWO_53;
  }

  next(): number {
    const value = this.values.shift();
    if (value === undefined) throw new Error('the scripted random numbers have run out');
    return value;
  }

  uuid(): string {
    return `00000000-0000-4000-8000-${this.next().toString(16).padStart(12, '0').slice(-12)}`;
  }
}
