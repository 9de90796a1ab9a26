import { type RingHash, RingHash_HashFunction } from '@dragoman/api';
import { ConfigError, type HashValue } from '@dragoman/core';
import { murmurHash2, xxHash64 } from '@dragoman/hashing';

/** Envoy: DefaultMinRingSize, DefaultMaxRingSize. */
const DEFAULT_MIN_SIZE = 1024;
const DEFAULT_MAX_SIZE = 8 * 1024 * 1024;

/** How a ring is made. */
export interface RingSettings {
  /** Entries, 1 … 8,388,608. */
  readonly minSize: number;
  readonly maxSize: number;
  /** Of a string of bytes. */
  readonly hash: (key: string) => HashValue;
}

/** @throws ConfigError when the bounds of the size are the wrong way round */
export function readRingSettings(config: RingHash): RingSettings {
  const minSize = Number(config.minimumRingSize ?? DEFAULT_MIN_SIZE);
  const maxSize = Number(config.maximumRingSize ?? DEFAULT_MAX_SIZE);
  if (minSize > maxSize) {
    const byDefault = config.minimumRingSize === undefined;
    throw ConfigError.at(
      byDefault ? 'maximum_ring_size' : 'minimum_ring_size',
      `the ring has at least ${minSize} entries${byDefault ? ' by default' : ''} and at most ${maxSize}: raise maximum_ring_size or lower minimum_ring_size`,
    );
  }
  const murmur = config.hashFunction === RingHash_HashFunction.MURMUR_HASH_2;
  return { minSize, maxSize, hash: murmur ? (key) => murmurHash2(key) : (key) => xxHash64(key) };
}
