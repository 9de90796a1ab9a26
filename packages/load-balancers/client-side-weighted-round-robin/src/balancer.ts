import type { Clock, Host, HostSet, LoadBalancer, LoadBalancerContext, Timer } from '@dragoman/core';
import type { HostLoads } from './host-loads.ts';

/** Keeps the weights of hosts up to date around a balancer that goes by them. */
export class ReportedWeightsBalancer implements LoadBalancer {
  readonly peek: LoadBalancer['peek'];
  private readonly inner: LoadBalancer;
  private readonly loads: HostLoads;
  private readonly timer: Timer;
  private sets: readonly HostSet[] = [];
  /** A set of which only weights change is told to the inner balancer as a new one. */
  private told = new Map<HostSet, HostSet>();

  constructor(inner: LoadBalancer, loads: HostLoads, clock: Clock, updateMs: number) {
    this.inner = inner;
    this.peek = inner.peek && (() => inner.peek?.());
    this.loads = loads;
    this.timer = clock.timer(() => {
      this.timer.enable(updateMs);
      if (this.renew()) this.tell();
    });
    this.timer.enable(updateMs);
  }

  update(sets: readonly HostSet[]): void {
    this.sets = sets;
    for (const set of sets) this.loads.listen(set.hosts);
    this.renew();
    this.tell();
  }

  choose(context: LoadBalancerContext | undefined): Host | undefined {
    return this.inner.choose(context);
  }

  close(): void {
    this.timer.disable();
    this.inner.close?.();
  }

  /** @returns whether a weight has changed */
  private renew(): boolean {
    const before = this.told;
    let any = false;
    this.told = new Map();
    for (const set of this.sets) {
      const changed = this.loads.apply(set.hosts);
      const known = changed ? undefined : before.get(set);
      this.told.set(set, known ?? { ...set });
      any ||= changed;
    }
    return any;
  }

  private tell(): void {
    this.inner.update([...this.told.values()]);
  }
}
