import { hashKey, type HashTable, type WeightedHosts } from '@dragoman/consistent-hashing';
import type { HashValue } from '@dragoman/core';
import { halvesModulo, hashModulo, xxHash64 } from '@dragoman/hashing';
import { Turns } from './turns.ts';

const SEED_OFFSET: HashValue = { high: 0, low: 0 };
const SEED_SKIP: HashValue = { high: 0, low: 1 };
const ALL_BITS = 0xffffffff;

/** No host has this entry yet. */
const FREE = 0xffffffff;

/**
 * Maglev's table (section 3.4 of the paper, listing 1, with weights as Envoy has them): hosts take entries in turn, each along a
 * permutation of its own.
 */
export class MaglevTable implements HashTable {
  readonly minEntriesPerHost: number;
  readonly maxEntriesPerHost: number;
  /** Host number of each entry. */
  private readonly entries: Uint32Array;

  /** @param size a prime */
  constructor(hosts: WeightedHosts, size: number, useHostname: boolean) {
    if (hosts.hosts.length === 1) {
      // One entry will do (Envoy: DegenerateMaglevTable).
      this.entries = new Uint32Array(1);
      this.minEntriesPerHost = 1;
      this.maxEntriesPerHost = 1;
      return;
    }
    this.entries = new Uint32Array(size).fill(FREE);
    const counts = populate(this.entries, new Candidates(hosts, size, useHostname), hosts.max);
    this.minEntriesPerHost = counts.reduce((least, count) => Math.min(least, count), size);
    this.maxEntriesPerHost = counts.reduce((most, count) => Math.max(most, count), 0);
  }

  /** A repeated pick turns most bits of the hash over. */
  find(high: number, low: number, attempt: number): number {
    const { entries } = this;
    const at =
      attempt === 0
        ? halvesModulo(high, low, entries.length)
        : halvesModulo((high ^ ALL_BITS) >>> 0, (low ^ -attempt) >>> 0, entries.length);
    return entries[at];
  }
}

/** The hosts in the order of their keys, which is the same whatever order they are listed in. */
class Candidates {
  /** Host numbers. */
  readonly owners: Uint32Array;
  readonly weights: Float64Array;
  /** Where in the table each goes next. */
  readonly positions: Uint32Array;
  readonly skips: Uint32Array;

  constructor({ hosts, weights }: WeightedHosts, size: number, useHostname: boolean) {
    const keys = hosts.map((host) => hashKey(host, useHostname));
    this.owners = Uint32Array.from(keys, (_, index) => index);
    this.owners.sort((a, b) => (keys[a] < keys[b] ? -1 : keys[a] > keys[b] ? 1 : a - b));
    this.weights = Float64Array.from(this.owners, (owner) => weights[owner]);
    this.positions = Uint32Array.from(this.owners, (owner) =>
      hashModulo(xxHash64(keys[owner], SEED_OFFSET), size),
    );
    this.skips = Uint32Array.from(
      this.owners,
      (owner) => hashModulo(xxHash64(keys[owner], SEED_SKIP), size - 1) + 1,
    );
  }
}

/**
 * Fills the table. A host of the largest weight takes an entry in each round, one of a third of it in every third.
 * @returns how many entries each candidate got
 */
function populate(entries: Uint32Array, candidates: Candidates, maxWeight: number): Uint32Array {
  const { owners, positions, skips } = candidates;
  const size = entries.length;
  const counts = new Uint32Array(owners.length);
  const turns = new Turns(candidates.weights, maxWeight, size);
  let free = size;
  for (let round = 1; free > 0; round++) {
    const due = turns.of(round);
    for (let turn = 0; turn < due.length && free > 0; turn++) {
      const candidate = due[turn];
      const skip = skips[candidate];
      let at = positions[candidate];
      while (entries[at] !== FREE) at = at + skip >= size ? at + skip - size : at + skip;
      entries[at] = owners[candidate];
      positions[candidate] = (at + skip) % size;
      counts[candidate]++;
      free--;
      turns.took(candidate, round);
    }
  }
  return counts;
}
