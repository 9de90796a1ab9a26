import type { HashValue } from '@dragoman/core';
import { highWord } from './high-word.ts';

/*
 * MurmurHash2, the variant of 64 bits that libstdc++ has behind std::hash<std::string> (libsupc++/hash_bytes.cc; Envoy:
 * common/common/murmur_hash.h), on pairs of 32-bit halves as xxHash64 here.
 */

/** The only multiplier: 0xc6a4a7935bd1e995. */
const MULTIPLIER_HIGH = 0xc6a4a793;
const MULTIPLIER_LOW = 0x5bd1e995;

/** The seed of std::hash (Envoy: STD_HASH_SEED). */
const STD_SEED: HashValue = { high: 0, low: 0xc70f6907 };

/**
 * The hash of a string of bytes (characters up to U+00FF; of others the lower eight bits count).
 * @param seed default: that of std::hash, 0xc70f6907
 */
export function murmurHash2(bytes: string, seed: HashValue = STD_SEED): HashValue {
  const { length } = bytes;
  let high = seed.high ^ timesHigh(0, length);
  let low = seed.low ^ timesLow(length);
  let at = 0;
  for (; at + 8 <= length; at += 8) {
    const wordLow = word(bytes, at, 4);
    const wordHigh = timesHigh(word(bytes, at + 4, 4), wordLow);
    const mixedLow = timesLow(wordLow) ^ (wordHigh >>> 15); // shifted by 47 bits
    high ^= timesHigh(wordHigh, mixedLow);
    low ^= timesLow(mixedLow);
    high = timesHigh(high, low);
    low = timesLow(low);
  }
  const rest = length - at;
  if (rest > 0) {
    low ^= word(bytes, at, Math.min(rest, 4));
    if (rest > 4) high ^= word(bytes, at + 4, rest - 4);
    high = timesHigh(high, low);
    low = timesLow(low);
  }
  low ^= high >>> 15;
  high = timesHigh(high, low);
  low = timesLow(low) ^ (high >>> 15);
  return { high: high >>> 0, low: low >>> 0 };
}

/** The upper half of a number × the multiplier; it needs the lower half as it was before. */
function timesHigh(high: number, low: number): number {
  return (
    (highWord(low, MULTIPLIER_LOW) + Math.imul(low, MULTIPLIER_HIGH) + Math.imul(high, MULTIPLIER_LOW)) | 0
  );
}

function timesLow(low: number): number {
  return Math.imul(low, MULTIPLIER_LOW);
}

/** `count` bytes (1 … 4), the lowest first. */
function word(bytes: string, at: number, count: number): number {
  let value = 0;
  for (let i = count - 1; i >= 0; i--) value = (value << 8) | (bytes.charCodeAt(at + i) & 0xff);
  return value;
}
