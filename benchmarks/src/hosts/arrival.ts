/** A worker has a host list. */
export interface Arrival {
  readonly thread: number;
  /** Of the list: the hostname of a host that begins with {@link MARK}. */
  readonly marker: string;
  /** `process.hrtime`, which all threads have in common. */
  readonly at: bigint;
}

/** Hostnames that tell one list from another begin with it. */
export const MARK = 'update-';

/** The name of the BroadcastChannel that workers report on. */
export const ARRIVALS = 'dragoman-bench-arrivals';

/** Name of the `cluster_type` whose hosts are given by the benchmark. */
export const GIVEN = 'bench.given_hosts';
