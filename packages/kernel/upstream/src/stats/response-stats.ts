import type { Counter, Histogram, StatsScope } from '@dragoman/core';

const STATUS_LIMIT = 1000;

/**
 * Counters of response statuses under one prefix: `upstream_rq_completed`, `upstream_rq_<n>xx`, `upstream_rq_<code>`. They
 * are made when the first such response comes, as in Envoy, and read from an array after that.
 */
class ResponseCounters {
  private readonly scope: StatsScope;
  private readonly prefix: string;
  private completed: Counter | undefined = undefined;
  private time: Histogram | undefined = undefined;
  private readonly classes: (Counter | undefined)[] = new Array(10).fill(undefined);
  private readonly codes: (Counter | undefined)[] = new Array(STATUS_LIMIT).fill(undefined);

  constructor(scope: StatsScope, prefix: string) {
    this.scope = scope;
    this.prefix = prefix;
  }

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

  recordTime(ms: number): void {
    this.time ??= this.scope.histogram(`${this.prefix}upstream_rq_time`, 'milliseconds');
    this.time.record(ms);
  }

  private chargeFirst(status: number): void {
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

/** What a cluster counts of its responses: in all, from inside or outside, and of canaries. */
export class ResponseStats {
  private readonly all: ResponseCounters;
  private readonly internal: ResponseCounters;
  private readonly external: ResponseCounters;
  private readonly canary: ResponseCounters;

  constructor(scope: StatsScope) {
    this.all = new ResponseCounters(scope, '');
    this.internal = new ResponseCounters(scope, 'internal.');
    this.external = new ResponseCounters(scope, 'external.');
    this.canary = new ResponseCounters(scope, 'canary.');
  }

  charge(status: number, internal: boolean, canary: boolean): void {
    this.all.charge(status);
    if (canary) this.canary.charge(status);
    (internal ? this.internal : this.external).charge(status);
  }

  recordTime(ms: number, internal: boolean, canary: boolean): void {
    this.all.recordTime(ms);
    if (canary) this.canary.recordTime(ms);
    (internal ? this.internal : this.external).recordTime(ms);
  }
}
