import { readLoose, RingHashSchema } from '@dragoman/api';
import type {
  HashValue,
  Host,
  HostPicker,
  LoadBalancerContextForCluster,
  PickerPolicy,
} from '@dragoman/core';
import { loadBalancerContext, MemoryStats, pickContext, testHost } from '@dragoman/testing';
import { ringHash } from '../src/index.ts';

export const MAX_HASH = 2n ** 64n - 1n;

export const halves = (value: bigint): HashValue => ({
  high: Number(value >> 32n),
  low: Number(value & 0xffffffffn),
});

export interface RingScene {
  readonly policy: PickerPolicy;
  /** Of `ring_hash_lb`: size, min_hashes_per_host, max_hashes_per_host. */
  stats(): number[];
  readonly store: MemoryStats;
}

export function ring(config: object, over: Partial<LoadBalancerContextForCluster> = {}): RingScene {
  const store = new MemoryStats();
  const stats = store.scope('cluster.web');
  return {
    policy: ringHash.create(
      readLoose(RingHashSchema, config) as never,
      loadBalancerContext({ stats, ...over }),
    ),
    stats: () =>
      ['size', 'min_hashes_per_host', 'max_hashes_per_host'].map((name) =>
        store.value(`cluster.web.ring_hash_lb.${name}`),
      ),
    store,
  };
}

/** Hosts 127.0.0.1:<first>, … as in Envoy's tests. */
export function local(
  first: number,
  weights: readonly number[],
  over: (port: number) => Partial<Host> = () => ({}),
): Host[] {
  return weights.map((weight, index) => testHost(`127.0.0.1:${first + index}`, weight, over(first + index)));
}

export function port(picker: HostPicker, hash: bigint, attempt?: number): number | undefined {
  return picker.pick(pickContext({ hash: halves(hash) }), attempt)?.address.port;
}

/** How often each port is picked with `count` hashes all around the ring. */
export function around(picker: HostPicker, count: number): Record<number, number> {
  const counts: Record<number, number> = {};
  for (let i = 0n; i < count; i++) {
    const found = port(picker, i * (MAX_HASH / BigInt(count))) as number;
    counts[found] = (counts[found] ?? 0) + 1;
  }
  return counts;
}
