import type { Gauge } from '@dragoman/core';
import { MersenneTwister } from './mersenne-twister.ts';
import type { WeightedHosts } from './weighted-hosts.ts';

const TWO_32 = 2 ** 32;

/** Picks run to their end: one sequence does for all. */
const twister = new MersenneTwister();

/**
 * Consistent hashing with bounded loads (Envoy: BoundedLoadHashingLoadBalancer; arXiv 1608.01350, 1908.08762): a host that has its share of
 * the open requests, times a factor, is passed over for others in an order that follows from the hash.
 */
export class BoundedLoad {
  private readonly table: WeightedHosts;
  private readonly factor: number;
  private readonly open: Gauge;
  /** 0, 1, 2, … between picks: what is shuffled of it is put back. */
  private readonly order: Uint32Array;
  private readonly swapped: Uint32Array;

  /**
   * @param factor percent of the average load that a host may have, 100 or more
   * @param open the open requests of the cluster
   */
  constructor(table: WeightedHosts, factor: number, open: Gauge) {
    this.table = table;
    this.factor = factor;
    this.open = open;
    this.order = Uint32Array.from(table.hosts, (_, index) => index);
    this.swapped = new Uint32Array(table.hosts.length);
  }

  /**
   * The host to use in place of host number `chosen`, or that one: the first of the order that is not full, else the least overloaded.
   *
   * @param seed the lower half of the hash
   */
  choose(chosen: number, seed: number): number {
    const slots = Math.floor(((this.open.value() + 1) * this.factor + 99) / 100);
    const load = this.loadOf(chosen, slots);
    if (load <= 1) return chosen;
    const { order, swapped } = this;
    const count = order.length;
    twister.seed(seed);
    let least = chosen;
    let leastLoad = load;
    let tried = 0;
    while (tried < count && leastLoad > 1) {
      const other = tried + below(count - tried);
      const host = order[other];
      order[other] = order[tried];
      order[tried] = host;
      swapped[tried++] = other;
      if (host === chosen) continue;
      const hostLoad = this.loadOf(host, slots);
      if (hostLoad >= leastLoad) continue;
      least = host;
      leastLoad = hostLoad;
    }
    for (let i = 0; i < tried; i++) {
      order[i] = i;
      order[swapped[i]] = swapped[i];
    }
    return least;
  }

  /** More than 1: it has more than its slots. */
  private loadOf(index: number, slots: number): number {
    const own = Math.max(Math.ceil(slots * this.table.weights[index]), 1);
    return this.table.hosts[index].activeRequests / own;
  }
}

/** A number of 0 … count−1 out of the sequence. */
function below(count: number): number {
  const width = Math.floor(TWO_32 / count);
  let drawn = count;
  while (drawn >= count) drawn = Math.floor(twister.next() / width);
  return drawn;
}
