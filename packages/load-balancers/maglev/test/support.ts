import { MaglevSchema, readLoose } from '@dragoman/api';
import type { Host, HostPicker, LoadBalancerContextForCluster, PickerPolicy } from '@dragoman/core';
import { loadBalancerContext, MemoryStats, pickContext, testHost } from '@dragoman/testing';
import { maglev } from '../src/index.ts';

export interface TableScene {
  readonly policy: PickerPolicy;
  /** Of `maglev_lb`: min_entries_per_host, max_entries_per_host. */
  stats(): number[];
  readonly store: MemoryStats;
}

export function table(config: object, over: Partial<LoadBalancerContextForCluster> = {}): TableScene {
  const store = new MemoryStats();
  const stats = store.scope('cluster.web');
  return {
    policy: maglev.create(readLoose(MaglevSchema, config) as never, loadBalancerContext({ stats, ...over })),
    stats: () =>
      ['min_entries_per_host', 'max_entries_per_host'].map((name) =>
        store.value(`cluster.web.maglev_lb.${name}`),
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

export function port(picker: HostPicker, low: number, attempt?: number): number | undefined {
  return picker.pick(pickContext({ hash: { high: 0, low } }), attempt)?.address.port;
}

/** The ports of all entries. */
export function ports(picker: HostPicker, size: number): (number | undefined)[] {
  return Array.from({ length: size }, (_, entry) => port(picker, entry));
}
