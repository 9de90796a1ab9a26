import type { StatsScope } from '@dragoman/core';
import { ResponseCounters } from '@dragoman/stats';

/** What one tree of stats counts of responses: in all, from inside or outside, of canaries, and between zones. */
export class ResponseStats {
  private readonly scope: StatsScope;
  private readonly prefix: string;
  /** Of this proxy; empty when it has none, and then nothing is counted by zone. */
  private readonly fromZone: string;
  private readonly all: ResponseCounters;
  // Made when they are first needed: each holds a slot for every status.
  private internal: ResponseCounters | undefined = undefined;
  private external: ResponseCounters | undefined = undefined;
  private canary: ResponseCounters | undefined = undefined;
  private retried: ResponseCounters | undefined = undefined;
  private readonly zones = new Map<string, ResponseCounters>();

  /** @param prefix empty, or with a dot at its end */
  constructor(scope: StatsScope, prefix: string, fromZone: string) {
    this.scope = scope;
    this.prefix = prefix;
    this.fromZone = fromZone;
    this.all = new ResponseCounters(scope, prefix);
  }

  /** @param toZone the host's; empty when it has none, or there is no host */
  charge(status: number, internal: boolean, canary: boolean, toZone: string): void {
    this.all.charge(status);
    if (canary) this.ofCanary().charge(status);
    this.ofOrigin(internal).charge(status);
    if (this.fromZone !== '' && toZone !== '') this.ofZone(toZone).charge(status);
  }

  recordTime(ms: number, internal: boolean, canary: boolean, toZone: string): void {
    this.all.recordTime(ms);
    if (canary) this.ofCanary().recordTime(ms);
    this.ofOrigin(internal).recordTime(ms);
    if (this.fromZone !== '' && toZone !== '') this.ofZone(toZone).recordTime(ms);
  }

  /** An answer in whose place the next try's is passed on. */
  chargeRetried(status: number): void {
    this.retried ??= new ResponseCounters(this.scope, `${this.prefix}retry.`);
    this.retried.charge(status);
  }

  private ofCanary(): ResponseCounters {
    this.canary ??= new ResponseCounters(this.scope, `${this.prefix}canary.`);
    return this.canary;
  }

  private ofOrigin(internal: boolean): ResponseCounters {
    if (internal) {
      this.internal ??= new ResponseCounters(this.scope, `${this.prefix}internal.`);
      return this.internal;
    }
    this.external ??= new ResponseCounters(this.scope, `${this.prefix}external.`);
    return this.external;
  }

  private ofZone(toZone: string): ResponseCounters {
    let counters = this.zones.get(toZone);
    if (counters === undefined) {
      counters = new ResponseCounters(this.scope, `${this.prefix}zone.${this.fromZone}.${toZone}.`);
      this.zones.set(toZone, counters);
    }
    return counters;
  }
}
