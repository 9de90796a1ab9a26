import type { Counter, Histogram, StatsScope } from '@dragoman/core';

const STATUS_LIMIT = 1000;

/**
 * Counters of response statuses under one prefix: `upstream_rq_completed`, `upstream_rq_<n>xx`, `upstream_rq_<code>`. They
 * are made when the first such response comes, as in Envoy, and read from an array after that.
 */
export class ResponseCounters {
  private readonly scope: StatsScope;
  private readonly prefix: string;
  private completed: Counter | undefined = undefined;
  private time: Histogram | undefined = undefined;
  private readonly classes: (Counter | undefined)[] = new Array(10).fill(undefined);
  private readonly codes: (Counter | undefined)[] = new Array(STATUS_LIMIT).fill(undefined);

  /** @param prefix empty, or with a dot at its end */
  constructor(scope: StatsScope, prefix: string) {
    this.scope = scope;
    this.prefix = prefix;
  }

  /** @param status 0: counts as completed, whatever it was */
  charge(status: number): void {
    const code = this.codes[status];
    if (code === undefined) {
      this.chargeFirst(status);
      return;
    }
    code.inc();
    (this.completed as Counter).inc();
    (this.classes[(status / 100) | 0] as Counter).inc();
  }

  /** `upstream_rq_time` */
  recordTime(ms: number): void {
    this.time ??= this.scope.histogram(`${this.prefix}upstream_rq_time`, 'milliseconds');
    this.time.record(ms);
  }

  private chargeFirst(status: number): void {
    if (status === 0) {
      this.completed ??= this.scope.counter(`${this.prefix}upstream_rq_completed`);
      this.completed.inc();
      return;
    }
    // A codec lets only three-digit statuses through; anything else is not worth a stat of its own.
    if (!(status >= 100 && status < STATUS_LIMIT)) return;
    const { scope, prefix } = this;
    const group = (status / 100) | 0;
    this.completed ??= scope.counter(`${prefix}upstream_rq_completed`);
    this.classes[group] ??= scope.counter(`${prefix}upstream_rq_${group}xx`);
    this.codes[status] = scope.counter(`${prefix}upstream_rq_${status}`);
    this.charge(status);
  }
}
