/** At a single occasion no more connections than these are opened ahead, as in Envoy. */
export const MOST_AT_ONCE = 3;

/**
 * Whether one more connection is wanted (Envoy: `ConnPoolImplBase::shouldConnect`).
 *
 * @param ratio connections wanted for each stream, in single precision
 * @param pending streams that wait, or are about to come
 * @param active streams under way
 * @param capacity streams that the connections could take beside those under way, with those on their way
 */
function lacksConnections(ratio: number, pending: number, active: number, capacity: number): boolean {
  return Math.fround((pending + active) * ratio) > Math.fround(capacity + active);
}

/** How far ahead of its requests a pool connects (`preconnect_policy.per_upstream_preconnect_ratio`). */
export class ConnectAhead {
  /** Streams of the pool that are under way. */
  active = 0;
  private readonly ratio: number;

  /** @param ratio 1 (not ahead at all) up to 3 */
  constructor(ratio: number) {
    // Envoy reckons in single precision: in double, 1.1 × 10 would ask for a connection more.
    this.ratio = Math.fround(ratio);
  }

  /**
   * @param pending requests that wait
   * @param capacity streams that the connections could take beside those under way, with those on their way
   */
  wants(pending: number, capacity: number): boolean {
    return lacksConnections(this.ratio, pending, this.active, capacity);
  }
}

/**
 * How far ahead of its streams a cluster connects to the hosts that come next (`preconnect_policy.predictive_preconnect_ratio`). Counts what all of
 * its pools on this worker have; they keep the figures.
 */
export class PredictiveConnect {
  /** Streams that wait for a connection. */
  pending = 0;
  /** Streams under way. */
  active = 0;
  /** Streams that the connections could take beside those under way, with those on their way. */
  capacity = 0;
  private readonly ratio: number;

  /** @param ratio more than 1, up to 3 */
  constructor(ratio: number) {
    this.ratio = Math.fround(ratio);
  }

  /** Whether the cluster wants one more, at the moment before another stream comes. */
  get wanted(): boolean {
    return lacksConnections(this.ratio, this.pending + 1, this.active, this.capacity);
  }

  /** The same for the pool of a host that comes next, by its own figures. */
  wantedBy(pending: number, active: number, capacity: number): boolean {
    return lacksConnections(this.ratio, pending + 1, active, capacity);
  }
}
