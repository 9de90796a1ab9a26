/** Picks to pass over count modulo this (as in Envoy): far more than any start needs. */
const MAX_PASSED_OVER = 429_496_729;

/** Added to each weight of a start in the midst of the schedule: keeps sums that should be equal from being just less (as in Envoy). */
const EPSILON = 1e-13;

/**
 * Earliest deadline first over entries 0 … n−1 with weights: each pick takes the entry whose deadline comes first and
 * moves that deadline on by 1 / weight, so that an entry is picked in proportion to its weight and as evenly spread as can be.
 * A binary heap in typed arrays: a pick moves one entry down and allocates nothing.
 */
export class EdfScheduler {
  /** Entry numbers, heap order. */
  private readonly heap: Int32Array;
  /** Deadline of each entry (not heap order). */
  private readonly deadlines: Float64Array;
  /** Among equal deadlines the one that was put back first comes first. Counts up; exact up to 2⁵³ picks. */
  private readonly turns: Float64Array;
  private readonly steps: Float64Array;
  private readonly weigh: ((entry: number) => number) | undefined;
  private turn: number;

  /**
   * @param weights more than 0, at least one
   * @param weigh the weight of an entry from its next turn on; asked for whenever it is picked. Default: weights stay as they are
   * @param passedOver picks to pass over at the start, any whole number of 0 or more: all but fewer than there are entries are worked out
   *   and not made (Envoy: `createWithPicks`). Default 0
   */
  constructor(weights: readonly number[], weigh?: (entry: number) => number, passedOver = 0) {
    const count = weights.length;
    this.weigh = weigh;
    this.heap = new Int32Array(count);
    this.deadlines = new Float64Array(count);
    this.turns = new Float64Array(count);
    this.steps = new Float64Array(count);
    for (let i = 0; i < count; i++) {
      this.heap[i] = i;
      this.steps[i] = 1 / weights[i];
      this.deadlines[i] = this.steps[i];
      this.turns[i] = i;
    }
    this.turn = count;
    const left = passedOver > 0 ? this.passOver(weights, passedOver % MAX_PASSED_OVER) : 0;
    for (let i = (count >> 1) - 1; i >= 0; i--) this.sink(i);
    for (let i = 0; i < left; i++) this.next();
  }

  /** Gives each entry the picks that are surely its own. @returns how many are left to be made */
  private passOver(weights: readonly number[], picks: number): number {
    let sum = 0;
    for (const weight of weights) sum += weight + EPSILON;
    let left = picks;
    for (let i = 0; i < weights.length; i++) {
      const weight = weights[i] + EPSILON;
      let own = Math.floor((weight * picks) / sum);
      // Rounding may have given it one too many.
      if (own > 0 && own / weight >= picks / sum) own--;
      this.deadlines[i] = (own + 1) / weight;
      left -= own;
    }
    return left;
  }

  /** The entry whose turn it is. */
  next(): number {
    const entry = this.heap[0];
    this.deadlines[entry] += this.weigh === undefined ? this.steps[entry] : 1 / this.weigh(entry);
    this.turns[entry] = this.turn++;
    this.sink(0);
    return entry;
  }

  private sink(start: number): void {
    const { heap, deadlines, turns } = this;
    const count = heap.length;
    const entry = heap[start];
    const deadline = deadlines[entry];
    const turn = turns[entry];
    let hole = start;
    for (;;) {
      let child = 2 * hole + 1;
      if (child >= count) break;
      let candidate = heap[child];
      if (child + 1 < count) {
        const right = heap[child + 1];
        if (
          deadlines[right] < deadlines[candidate] ||
          (deadlines[right] === deadlines[candidate] && turns[right] < turns[candidate])
        ) {
          child++;
          candidate = right;
        }
      }
      const lower = deadlines[candidate];
      if (lower > deadline || (lower === deadline && turns[candidate] > turn)) break;
      heap[hole] = candidate;
      hole = child;
    }
    heap[hole] = entry;
  }
}
