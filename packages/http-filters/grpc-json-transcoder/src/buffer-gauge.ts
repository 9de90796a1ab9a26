import type { Gauge } from '@dragoman/core';

/** One stream's part of a gauge of buffered bytes. */
export class BufferGauge {
  private readonly gauge: Gauge;
  private bytes = 0;

  constructor(gauge: Gauge) {
    this.gauge = gauge;
  }

  /** The stream now holds so many. */
  set(bytes: number): void {
    if (bytes > this.bytes) this.gauge.add(bytes - this.bytes);
    else if (bytes < this.bytes) this.gauge.sub(this.bytes - bytes);
    this.bytes = bytes;
  }
}
