import type { Counter, Gauge, Histogram, HistogramUnit, TextReadout } from '@dragoman/core';
import { SlotCounter, SlotGauge } from './slot-stats.ts';

/** A slot of nobody's segment. */
function ownSlot() {
  const view = new Float64Array(new SharedArrayBuffer(Float64Array.BYTES_PER_ELEMENT));
  return { chunk: -1, slot: 0, count: 1, view };
}

/** Stats of a scope that was forgotten, for somebody who is late: they work, and nobody sees them. */
export const unseen = {
  counter: (name: string): Counter => new SlotCounter(name, ownSlot()),
  gauge: (name: string): Gauge => new SlotGauge(name, ownSlot()),
  histogram: (name: string, unit: HistogramUnit): Histogram => ({ name, unit, record: () => {} }),
  textReadout: (name: string): TextReadout => ({ name, set: () => {} }),
};
