import { hashKey, type HashTable, type WeightedHosts } from '@dragoman/consistent-hashing';
import type { RingSettings } from './config.ts';
import { SortedHashes } from './sorted-hashes.ts';

/** A ketama ring: each host stands at many places, in proportion to its weight; a hash belongs to the next place. */
export class Ring implements HashTable {
  /** How many places were aimed at (Envoy: `ring_hash_lb.size`). */
  readonly size: number;
  readonly minHashesPerHost: number;
  readonly maxHashesPerHost: number;
  private readonly places: SortedHashes;

  constructor(hosts: WeightedHosts, settings: RingSettings, useHostname: boolean) {
    // The host of the least weight gets a whole number of places, as long as that does not take more than the ring may have.
    const { min } = hosts;
    const scale = Math.min(Math.ceil(min * settings.minSize) / min, settings.maxSize);
    const counts = placesPerHost(hosts.weights, scale);
    this.size = Math.ceil(scale);
    this.minHashesPerHost = counts.reduce((least, count) => Math.min(least, count), this.size);
    this.maxHashesPerHost = counts.reduce((most, count) => Math.max(most, count), 0);
    this.places = hashPlaces(hosts, counts, settings, useHostname);
  }

  /** A repeated pick goes that many places on; it may meet the same host there. */
  find(high: number, low: number, attempt: number): number {
    const { places } = this;
    const at = places.lowerBound(high, low) + attempt;
    return places.owners[at < places.length ? at : at % places.length];
  }
}

/** A running sum, so that what is lost by rounding at one host comes to the next. */
function placesPerHost(weights: Float64Array, scale: number): Uint32Array {
  const counts = new Uint32Array(weights.length);
  let placed = 0;
  let target = 0;
  for (let i = 0; i < weights.length; i++) {
    target += scale * weights[i];
    for (; placed < target; placed++) counts[i]++;
  }
  return counts;
}

function hashPlaces(
  { hosts }: WeightedHosts,
  counts: Uint32Array,
  { hash }: RingSettings,
  useHostname: boolean,
): SortedHashes {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const highs = new Uint32Array(total);
  const lows = new Uint32Array(total);
  const owners = new Uint32Array(total);
  let at = 0;
  for (let owner = 0; owner < hosts.length; owner++) {
    const count = counts[owner];
    if (count === 0) continue;
    const prefix = `${hashKey(hosts[owner], useHostname)}_`;
    for (let i = 0; i < count; i++) {
      const { high, low } = hash(prefix + i);
      highs[at] = high;
      lows[at] = low;
      owners[at++] = owner;
    }
  }
  return new SortedHashes(highs, lows, owners);
}
