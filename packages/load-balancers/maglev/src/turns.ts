/** The end of a list. */
const NONE = -1;

/**
 * Whose turn it is in which round. Envoy looks at every host in every round; where a few hosts have most of the weight nearly all of that is
 * in vain (10,000 hosts, one of them 10⁶ times as heavy, took 1.1 s; with this 57 ms).
 */
export class Turns {
  private readonly weights: Float64Array;
  private readonly maxWeight: number;
  /** What a host's weight × round must come to before its next turn. */
  private readonly targets: Float64Array;
  /** By round, the host that was put there last, or {@link NONE}. */
  private readonly heads: Int32Array;
  /** By host, the one that was put there before it. */
  private readonly others: Int32Array;
  private readonly due: Uint32Array;

  /**
   * All have their turn in the first round.
   * @param turns how many will be taken in all
   */
  constructor(weights: Float64Array, maxWeight: number, turns: number) {
    const heaviest = weights.reduce((count, weight) => count + (weight === maxWeight ? 1 : 0), 0);
    this.weights = weights;
    this.maxWeight = maxWeight;
    this.targets = new Float64Array(weights.length);
    // The heaviest have a turn in every round.
    this.heads = new Int32Array(Math.ceil(turns / heaviest) + 1).fill(NONE);
    this.others = new Int32Array(weights.length);
    this.due = new Uint32Array(weights.length);
    for (let host = 0; host < weights.length; host++) this.put(host, 1);
  }

  /** The hosts of a round, in order; to be read before the next call. Rounds begin with 1 and are asked for one after the other. */
  of(round: number): Uint32Array {
    const { due, others } = this;
    let start = due.length;
    let sorted = true;
    // What was put first comes out last.
    for (let host = this.heads[round]; host !== NONE; host = others[host]) {
      sorted &&= start === due.length || host < due[start];
      due[--start] = host;
    }
    const hosts = due.subarray(start);
    return sorted ? hosts : hosts.sort();
  }

  /** Has its turn in `round`: finds its next, the first round where round × weight reaches the target. */
  took(host: number, round: number): void {
    const weight = this.weights[host];
    const target = this.targets[host] + this.maxWeight;
    this.targets[host] = target;
    let next = Math.max(round + 1, Math.ceil(target / weight) - 1);
    if (next >= this.heads.length) return;
    // What counts is the product as it is rounded.
    while (next * weight < target) next++;
    if (next < this.heads.length) this.put(host, next);
  }

  private put(host: number, round: number): void {
    this.others[host] = this.heads[round];
    this.heads[round] = host;
  }
}
