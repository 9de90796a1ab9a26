/** At a single occasion no more connections than these are opened ahead, as in Envoy. */
export const MOST_AT_ONCE = 3;

/** How far ahead of its requests a pool connects (`preconnect_policy.per_upstream_preconnect_ratio`). */
export class ConnectAhead {
  /** Streams of the pool that are under way. */
  active = 0;
  private readonly ratio: number;

  /** @param ratio more than 1, up to 3 */
  constructor(ratio: number) {
    // Envoy reckons in single precision: in double, 1.1 × 10 would ask for a connection more.
    this.ratio = Math.fround(ratio);
  }

  /**
   * Whether one more connection is wanted (Envoy: `ConnPoolImplBase::shouldConnect`).
   *
   * @param pending requests that wait
   * @param capacity streams that the connections could take beside those under way, with those on their way
   */
  wants(pending: number, capacity: number): boolean {
    return Math.fround((pending + this.active) * this.ratio) > Math.fround(capacity + this.active);
  }
}
