import type { HashValue } from '@dragoman/core';
import { highWord } from './high-word.ts';

/*
 * xxHash64 (https://github.com/Cyan4973/xxHash, the specification in doc/xxhash_spec.md) on pairs of 32-bit halves: BigInt
 * would allocate at every step. The helpers leave their result in `outHigh` and `outLow`: they cannot return two numbers
 * without an object.
 */
let outHigh = 0;
let outLow = 0;

const PRIME_1_HIGH = 0x9e3779b1;
const PRIME_1_LOW = 0x85ebca87;
const PRIME_2_HIGH = 0xc2b2ae3d;
const PRIME_2_LOW = 0x27d4eb4f;
const PRIME_3_HIGH = 0x165667b1;
const PRIME_3_LOW = 0x9e3779f9;
const PRIME_4_HIGH = 0x85ebca77;
const PRIME_4_LOW = 0xc2b2ae63;
const PRIME_5_HIGH = 0x27d4eb2f;
const PRIME_5_LOW = 0x165667c5;

/** Bytes of a stripe: four lanes of eight. */
const STRIPE = 32;

/** The accumulators of the four lanes: high and low of each. The hash of one text runs to its end before the next begins. */
const lanes = new Int32Array(8);

const ZERO: HashValue = { high: 0, low: 0 };

/**
 * The hash of a string of bytes (characters up to U+00FF; of others the lower eight bits count).
 * @param seed default 0
 */
export function xxHash64(bytes: string, seed: HashValue = ZERO): HashValue {
  const { length } = bytes;
  let at = 0;
  if (length >= STRIPE) {
    at = hashStripes(bytes, seed);
  } else {
    add(seed.high | 0, seed.low | 0, PRIME_5_HIGH, PRIME_5_LOW);
  }
  add(outHigh, outLow, 0, length);
  for (; at + 8 <= length; at += 8) mixEight(bytes, at);
  if (at + 4 <= length) {
    multiply(0, word(bytes, at), PRIME_1_HIGH, PRIME_1_LOW, outHigh, outLow);
    rotate(outHigh, outLow, 23);
    multiplyAdd(PRIME_2_HIGH, PRIME_2_LOW, PRIME_3_HIGH, PRIME_3_LOW);
    at += 4;
  }
  for (; at < length; at++) {
    multiply(0, bytes.charCodeAt(at) & 0xff, PRIME_5_HIGH, PRIME_5_LOW, outHigh, outLow);
    rotate(outHigh, outLow, 11);
    multiplyAdd(PRIME_1_HIGH, PRIME_1_LOW, 0, 0);
  }
  return avalanche();
}

/** The hash of several strings of bytes: the hash of each seeds that of the next. */
export function xxHash64All(texts: readonly string[]): HashValue {
  let hash = ZERO;
  for (const text of texts) hash = xxHash64(text, hash);
  return hash;
}

/** Reads whole stripes; answers where it stopped. */
function hashStripes(bytes: string, seed: HashValue): number {
  const high = seed.high | 0;
  const low = seed.low | 0;
  add(high, low, PRIME_1_HIGH, PRIME_1_LOW);
  add(outHigh, outLow, PRIME_2_HIGH, PRIME_2_LOW);
  setLane(0, outHigh, outLow);
  add(high, low, PRIME_2_HIGH, PRIME_2_LOW);
  setLane(2, outHigh, outLow);
  setLane(4, high, low);
  // seed - PRIME_1: the complement plus one, added.
  add(high, low, ~PRIME_1_HIGH, -PRIME_1_LOW);
  setLane(6, outHigh, outLow);

  const last = bytes.length - STRIPE;
  let at = 0;
  for (; at <= last; at += STRIPE) {
    for (let lane = 0; lane < 8; lane += 2) {
      const from = at + lane * 4;
      round(lanes[lane] as number, lanes[lane + 1] as number, word(bytes, from + 4), word(bytes, from));
      setLane(lane, outHigh, outLow);
    }
  }
  joinLanes();
  return at;
}

function joinLanes(): void {
  rotate(lanes[0] as number, lanes[1] as number, 1);
  let high = outHigh;
  let low = outLow;
  for (let lane = 2; lane < 8; lane += 2) {
    // 7, 12, 18 bits for the second to the fourth.
    rotate(lanes[lane] as number, lanes[lane + 1] as number, lane === 2 ? 7 : lane === 4 ? 12 : 18);
    add(high, low, outHigh, outLow);
    high = outHigh;
    low = outLow;
  }
  for (let lane = 0; lane < 8; lane += 2) {
    round(0, 0, lanes[lane] as number, lanes[lane + 1] as number);
    outHigh ^= high;
    outLow ^= low;
    multiplyAdd(PRIME_1_HIGH, PRIME_1_LOW, PRIME_4_HIGH, PRIME_4_LOW);
    high = outHigh;
    low = outLow;
  }
}

function setLane(lane: number, high: number, low: number): void {
  lanes[lane] = high;
  lanes[lane + 1] = low;
}

/** Eight bytes into what stands in the result. */
function mixEight(bytes: string, at: number): void {
  const high = outHigh;
  const low = outLow;
  round(0, 0, word(bytes, at + 4), word(bytes, at));
  rotate(outHigh ^ high, outLow ^ low, 27);
  multiplyAdd(PRIME_1_HIGH, PRIME_1_LOW, PRIME_4_HIGH, PRIME_4_LOW);
}

/** acc += input × PRIME_2; acc ← acc rotated by 31, × PRIME_1. */
function round(accHigh: number, accLow: number, high: number, low: number): void {
  outHigh = high;
  outLow = low;
  multiplyAdd(PRIME_2_HIGH, PRIME_2_LOW, accHigh, accLow);
  rotate(outHigh, outLow, 31);
  multiplyAdd(PRIME_1_HIGH, PRIME_1_LOW, 0, 0);
}

function avalanche(): HashValue {
  outLow ^= outHigh >>> 1; // by 33 bits
  multiplyAdd(PRIME_2_HIGH, PRIME_2_LOW, 0, 0);
  const high = outHigh;
  outHigh ^= high >>> 29;
  outLow ^= (outLow >>> 29) | (high << 3);
  multiplyAdd(PRIME_3_HIGH, PRIME_3_LOW, 0, 0);
  outLow ^= outHigh; // by 32 bits
  return { high: outHigh >>> 0, low: outLow >>> 0 };
}

/** Four bytes, the lowest first. */
function word(bytes: string, at: number): number {
  return (
    (bytes.charCodeAt(at) & 0xff) |
    ((bytes.charCodeAt(at + 1) & 0xff) << 8) |
    ((bytes.charCodeAt(at + 2) & 0xff) << 16) |
    (bytes.charCodeAt(at + 3) << 24)
  );
}

function add(aHigh: number, aLow: number, bHigh: number, bLow: number): void {
  const low = (aLow >>> 0) + (bLow >>> 0);
  outHigh = (aHigh + bHigh + (low > 0xffffffff ? 1 : 0)) | 0;
  outLow = low | 0;
}

/** `bits`: 1 … 31. */
function rotate(high: number, low: number, bits: number): void {
  outHigh = (high << bits) | (low >>> (32 - bits));
  outLow = (low << bits) | (high >>> (32 - bits));
}

/** The result × a + b. */
function multiplyAdd(aHigh: number, aLow: number, bHigh: number, bLow: number): void {
  const high = outHigh;
  const low = outLow;
  const crossed = (Math.imul(high, aLow) + Math.imul(low, aHigh)) | 0;
  add(crossed + highWord(low, aLow), Math.imul(low, aLow), bHigh, bLow);
}

/** A number × a prime, xor what is given. */
function multiply(
  high: number,
  low: number,
  primeHigh: number,
  primeLow: number,
  xorHigh: number,
  xorLow: number,
): void {
  outHigh = high;
  outLow = low;
  multiplyAdd(primeHigh, primeLow, 0, 0);
  outHigh ^= xorHigh;
  outLow ^= xorLow;
}
