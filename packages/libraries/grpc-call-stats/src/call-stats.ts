import type { ClusterInfo, Counter, Histogram, StatsScope } from '@dragoman/core';
import type { GrpcCall } from './grpc-call.ts';

/**
 * Calls that get stats of their own on one cluster, unless the caller says otherwise. Paths are the clients' to choose and stats
 * are never freed: what comes after these is counted without service and method.
 */
export const MAX_CALL_NAMES = 2000;

/** The longest service and method, together, that get stats of their own. */
const MAX_NAME_LENGTH = 512;

/** Statuses without a number of gRPC's own that get a counter, for each call: they are the upstream's to choose. */
const MAX_ODD_STATUSES = 32;
const MAX_STATUS_LENGTH = 16;

export interface GrpcCallStatsOptions {
  /** Default {@link MAX_CALL_NAMES}. */
  readonly maxCallNames?: number;
}

/** `cluster.<name>.<protocol>.[<service>.<method>.]`: each stat is made when it is first counted, as in Envoy. */
export class CallStats {
  readonly #scope: StatsScope;
  readonly #prefix: string;
  readonly #statuses = new Map<string, Counter>();
  #oddStatuses = 0;
  #success: Counter | undefined;
  #failure: Counter | undefined;
  #total: Counter | undefined;
  #requestMessages: Counter | undefined;
  #responseMessages: Counter | undefined;
  #upstreamTime: Histogram | undefined;

  constructor(scope: StatsScope, prefix: string) {
    this.#scope = scope;
    this.#prefix = prefix;
  }

  /** Counts the end of a call by its `grpc-status`, whatever text that is; nothing without one. */
  chargeStatus(status: string | undefined): void {
    if (status === undefined) return;
    this.#statusCounter(status)?.inc();
    this.chargeOutcome(status === '0');
  }

  /** `success` or `failure`, and `total`. */
  chargeOutcome(success: boolean): void {
    if (success) (this.#success ??= this.#counter('success')).inc();
    else (this.#failure ??= this.#counter('failure')).inc();
    (this.#total ??= this.#counter('total')).inc();
  }

  /** `request_message_count` */
  addRequestMessages(amount: number): void {
    (this.#requestMessages ??= this.#counter('request_message_count')).add(amount);
  }

  /** `response_message_count` */
  addResponseMessages(amount: number): void {
    (this.#responseMessages ??= this.#counter('response_message_count')).add(amount);
  }

  /** `upstream_rq_time`, whole milliseconds. */
  recordUpstreamTime(ms: number): void {
    this.#upstreamTime ??= this.#scope.histogram(`${this.#prefix}upstream_rq_time`, 'milliseconds');
    this.#upstreamTime.record(ms);
  }

  #statusCounter(status: string): Counter | undefined {
    const known = this.#statuses.get(status);
    if (known !== undefined) return known;
    if (!/^(?:\d|1[0-6])$/.test(status)) {
      if (status === '' || status.length > MAX_STATUS_LENGTH || this.#oddStatuses === MAX_ODD_STATUSES)
        return undefined;
      this.#oddStatuses++;
    }
    const made = this.#counter(status);
    this.#statuses.set(status, made);
    return made;
  }

  #counter(name: string): Counter {
    return this.#scope.counter(this.#prefix + name);
  }
}

/** What one filter counts of calls, on the clusters that they go to. */
export class GrpcCallStats {
  readonly #protocol: string;
  readonly #maxCallNames: number;
  /** By cluster, then by `<service>.<method>`; the empty name is that of all calls without one. */
  readonly #clusters = new WeakMap<ClusterInfo, Map<string, CallStats>>();

  /** @param protocol `grpc`, or `grpc-web` */
  constructor(protocol: 'grpc' | 'grpc-web', { maxCallNames = MAX_CALL_NAMES }: GrpcCallStatsOptions = {}) {
    this.#protocol = protocol;
    this.#maxCallNames = maxCallNames;
  }

  /** @param call undefined: counted without service and method */
  of(cluster: ClusterInfo, call: GrpcCall | undefined): CallStats {
    let calls = this.#clusters.get(cluster);
    if (calls === undefined) {
      calls = new Map();
      this.#clusters.set(cluster, calls);
    }
    const name = call === undefined ? '' : `${call.service}.${call.method}`;
    const found = calls.get(name);
    if (found !== undefined) return found;
    if (name !== '' && (name.length > MAX_NAME_LENGTH || calls.size >= this.#maxCallNames))
      return this.of(cluster, undefined);
    const prefix = name === '' ? `${this.#protocol}.` : `${this.#protocol}.${name}.`;
    const made = new CallStats(cluster.statsScope, prefix);
    calls.set(name, made);
    return made;
  }
}
