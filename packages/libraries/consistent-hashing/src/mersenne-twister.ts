const SIZE = 624;
const MIDDLE = 397;

/**
 * MT19937 (std::mt19937), which Envoy spreads the load of a full host with. Its state is worked out as far as it is read: of a
 * sequence only the first numbers are needed as a rule.
 */
export class MersenneTwister {
  private readonly state = new Uint32Array(SIZE);
  /** How much of the state is there. */
  private filled = 0;
  private at = 0;

  /** Begins the sequence of a seed of 32 bits. */
  seed(seed: number): void {
    this.state[0] = seed;
    this.filled = 1;
    this.at = 0;
  }

  /** 0 … 2³²−1. */
  next(): number {
    const { state, at } = this;
    if (this.filled < SIZE) this.fill(Math.min(SIZE, at + MIDDLE + 1));
    const following = at + 1 === SIZE ? 0 : at + 1;
    const joined = (state[at] & 0x80000000) | (state[following] & 0x7fffffff);
    const far = at + MIDDLE < SIZE ? at + MIDDLE : at + MIDDLE - SIZE;
    state[at] = state[far] ^ (joined >>> 1) ^ ((joined & 1) === 0 ? 0 : 0x9908b0df);
    this.at = following;
    return temper(state[at]);
  }

  private fill(end: number): void {
    const { state } = this;
    let last = state[this.filled - 1];
    for (let i = this.filled; i < end; i++) {
      last = (Math.imul(1812433253, last ^ (last >>> 30)) + i) >>> 0;
      state[i] = last;
    }
    this.filled = Math.max(this.filled, end);
  }
}

function temper(value: number): number {
  let y = value;
  y ^= y >>> 11;
  y ^= (y << 7) & 0x9d2c5680;
  y ^= (y << 15) & 0xefc60000;
  return (y ^ (y >>> 18)) >>> 0;
}
