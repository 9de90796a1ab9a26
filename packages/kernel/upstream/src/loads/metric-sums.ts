import type { LoadReport } from '@dragoman/core';
import { MAX_METRICS, type MetricReader } from '@dragoman/orca';
import type { MetricLoad } from './cluster-load.ts';

interface Sum {
  answers: number;
  total: number;
}

/** What one host has reported of the metrics that its cluster names. */
export class MetricSums {
  private readonly read: MetricReader;
  private readonly sums = new Map<string, Sum>();

  constructor(read: MetricReader) {
    this.read = read;
  }

  /** A host that makes up names has its first ones counted. */
  add(report: LoadReport): void {
    this.read(report, (name, value) => {
      const sum = this.sums.get(name);
      if (sum !== undefined) {
        sum.answers++;
        sum.total += value;
      } else if (this.sums.size < MAX_METRICS) this.sums.set(name, { answers: 1, total: value });
    });
  }

  /** The sums so far, which then begin anew. */
  latch(): readonly MetricLoad[] {
    if (this.sums.size === 0) return NONE;
    const metrics = Array.from(this.sums, ([name, sum]) => ({ name, ...sum }));
    this.sums.clear();
    return metrics;
  }
}

const NONE: readonly MetricLoad[] = [];
