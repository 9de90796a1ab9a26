/** Buckets are told apart by the upper half of a hash; one bit is the least that a shift can leave. */
const MIN_BITS = 1;
const MAX_BITS = 24;

/**
 * Hashes of 64 bits in order, each with an owner: halves in typed arrays, and an index by their first bits. Hashes are spread evenly,
 * so that a bucket has about one entry; both sorting and looking up are short walks inside a bucket.
 */
export class SortedHashes {
  readonly length: number;
  /** In the order of the hashes; of equal hashes in the order they were given. */
  readonly owners: Uint32Array;
  private readonly highs: Uint32Array;
  private readonly lows: Uint32Array;
  /** Where each bucket begins; after the last the end. */
  private readonly starts: Uint32Array;
  private readonly shift: number;

  /** Three lists of equal length, of one entry or more; they are only read. */
  constructor(highs: Uint32Array, lows: Uint32Array, owners: Uint32Array) {
    this.length = highs.length;
    this.shift = 32 - Math.min(MAX_BITS, Math.max(MIN_BITS, Math.ceil(Math.log2(this.length))));
    this.highs = new Uint32Array(this.length);
    this.lows = new Uint32Array(this.length);
    this.owners = new Uint32Array(this.length);
    this.starts = bucketStarts(highs, this.shift);
    const next = this.starts.slice();
    for (let i = 0; i < highs.length; i++) {
      const bucket = highs[i] >>> this.shift;
      this.insert(this.starts[bucket], next[bucket]++, highs[i], lows[i], owners[i]);
    }
  }

  /** The first entry whose hash is not below a given one; behind the last comes the first. */
  lowerBound(high: number, low: number): number {
    const { highs, lows, starts } = this;
    const bucket = high >>> this.shift;
    let from = starts[bucket];
    let to = starts[bucket + 1];
    while (from < to) {
      const middle = (from + to) >>> 1;
      const value = highs[middle];
      if (value < high || (value === high && lows[middle] < low)) from = middle + 1;
      else to = middle;
    }
    return from === this.length ? 0 : from;
  }

  /** Puts an entry behind those of its bucket, `start` … `end`, that are not greater. */
  private insert(start: number, end: number, high: number, low: number, owner: number): void {
    const { highs, lows, owners } = this;
    let at = end;
    for (; at > start; at--) {
      const value = highs[at - 1];
      if (value < high || (value === high && lows[at - 1] <= low)) break;
      highs[at] = value;
      lows[at] = lows[at - 1];
      owners[at] = owners[at - 1];
    }
    highs[at] = high;
    lows[at] = low;
    owners[at] = owner;
  }
}

function bucketStarts(highs: Uint32Array, shift: number): Uint32Array {
  const starts = new Uint32Array(2 ** (32 - shift) + 1);
  for (let i = 0; i < highs.length; i++) starts[(highs[i] >>> shift) + 1]++;
  for (let i = 1; i < starts.length; i++) starts[i] += starts[i - 1];
  return starts;
}
