/** Bins of one decade: two significant digits, 1.0 to 9.9. */
const BINS_PER_DECADE = 90;
/** The decades that bins are kept for; the last ends at 10¹³ µs, 115 days. Longer latencies count in its last bin. */
const POWERS = Array.from({ length: 14 }, (_, exponent) => 10 ** exponent);
const DECADES = POWERS.length - 1;

/**
 * Latencies of a window, log-linear as circllhist's: bin `d·10ᵉ … (d + 1)·10ᵉ` for each `d` from 10 to 99, and one for 0. Its
 * memory does not depend on how many there are.
 */
export class LatencyHistogram {
  count = 0;
  private readonly bins: Uint32Array = new Uint32Array(1 + DECADES * BINS_PER_DECADE);

  /** @param micros whole, 0 or more */
  add(micros: number): void {
    this.count++;
    (this.bins[binOf(micros)] as number)++;
  }

  clear(): void {
    if (this.count === 0) return;
    this.count = 0;
    this.bins.fill(0);
  }

  /**
   * The latency in µs that `share` (0 to 1) of the samples do not exceed: linear within its bin, as circllhist's
   * `hist_approx_quantile`. NaN without samples.
   */
  quantile(share: number): number {
    const wanted = share * this.count;
    let below = 0;
    for (let bin = 0; bin < this.bins.length; bin++) {
      const inside = this.bins[bin] as number;
      if (inside === 0 || (below + inside < wanted && below + inside < this.count)) {
        below += inside;
        continue;
      }
      return leftOf(bin) + ((wanted - below) / inside) * widthOf(bin);
    }
    return Number.NaN;
  }
}

function binOf(micros: number): number {
  if (micros < 1) return 0;
  let decade = 0;
  while (decade < DECADES - 1 && micros >= (POWERS[decade + 1] as number)) decade++;
  const digits = Math.floor((micros * 10) / (POWERS[decade] as number));
  return 1 + decade * BINS_PER_DECADE + Math.min(digits - 10, BINS_PER_DECADE - 1);
}

function leftOf(bin: number): number {
  const digits = 10 + ((bin - 1) % BINS_PER_DECADE);
  return bin === 0 ? 0 : digits * widthOf(bin);
}

/** The bin of 0 has no width. */
function widthOf(bin: number): number {
  if (bin === 0) return 0;
  return (POWERS[Math.floor((bin - 1) / BINS_PER_DECADE)] as number) / 10;
}
