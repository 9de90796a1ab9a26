import { Column } from './column.ts';
import type { Outcome } from './stream.ts';

/** Which outcomes are meant: those whose request began in this span, milliseconds since the start of the simulation. */
export interface Window {
  readonly fromMs?: number;
  readonly untilMs?: number;
}

/** Outcomes of one span. Times are milliseconds. */
export interface Summary {
  readonly count: number;
  /** Answered with a status below 500. */
  readonly ok: number;
  /** Share of those that were not, 0 … 1. */
  readonly errorRate: number;
  /** Of all, well answered or not. 0 of none. */
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly mean: number;
  /** Tries for each request. */
  readonly attempts: number;
}

/** Outcomes of requests, in columns: some hundred thousands take some megabytes. */
export class Results {
  private readonly starts = new Column();
  private readonly latencies = new Column();
  private readonly statuses = new Column();
  private readonly tries = new Column();
  private readonly startedAt: number;

  /** @param startedAt the clock's time at the start of the simulation */
  constructor(startedAt: number) {
    this.startedAt = startedAt;
  }

  get count(): number {
    return this.starts.length;
  }

  /** Writes an outcome down. A bound function: what is handed to `SimProxy.send`. */
  readonly add = (outcome: Outcome): void => {
    this.starts.push(outcome.startedAt - this.startedAt);
    this.latencies.push(outcome.endedAt - outcome.startedAt);
    this.statuses.push(outcome.status);
    this.tries.push(outcome.attempts);
  };

  summary(window: Window = {}): Summary {
    const { fromMs = 0, untilMs = Number.POSITIVE_INFINITY } = window;
    const starts = this.starts.values;
    const latencies = this.latencies.values;
    const statuses = this.statuses.values;
    const tries = this.tries.values;
    const chosen: number[] = [];
    let ok = 0;
    let attempts = 0;
    let sum = 0;
    for (let i = 0; i < starts.length; i++) {
      if (starts[i] < fromMs || starts[i] >= untilMs) continue;
      chosen.push(latencies[i]);
      sum += latencies[i];
      attempts += tries[i];
      if (statuses[i] > 0 && statuses[i] < 500) ok++;
    }
    const sorted = Float64Array.from(chosen).sort();
    const count = sorted.length;
    const each = (total: number): number => (count === 0 ? 0 : total / count);
    return {
      count,
      ok,
      errorRate: each(count - ok),
      p50: percentile(sorted, 0.5),
      p99: percentile(sorted, 0.99),
      p999: percentile(sorted, 0.999),
      mean: each(sum),
      attempts: each(attempts),
    };
  }

  /** One summary for each span of `stepMs` in a window. */
  timeline(stepMs: number, untilMs: number): readonly (Summary & { readonly fromMs: number })[] {
    const steps = Math.ceil(untilMs / stepMs);
    return Array.from({ length: steps }, (_, index) => {
      const fromMs = index * stepMs;
      return { fromMs, ...this.summary({ fromMs, untilMs: fromMs + stepMs }) };
    });
  }

  /** A number that differs as soon as one outcome does, with all but certainty: for comparing runs. */
  fingerprint(): string {
    let hash = 0;
    for (const column of [this.starts, this.latencies, this.statuses, this.tries]) {
      const { buffer, byteOffset, byteLength } = column.values;
      for (const byte of new Uint8Array(buffer, byteOffset, byteLength))
        hash = (Math.imul(hash, 31) + byte) | 0;
    }
    return (hash >>> 0).toString(16).padStart(8, '0');
  }
}

/** The smallest value that a share of all does not exceed. @param sorted rising; 0 of none */
export function percentile(sorted: ArrayLike<number>, share: number): number {
  return sorted.length === 0 ? 0 : sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
}
