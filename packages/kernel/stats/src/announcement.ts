import type { GaugeMode, HistogramUnit } from '@dragoman/core';

/** A thread has a new chunk of shared memory. */
export interface ChunkAnnouncement {
  readonly type: 'chunk';
  readonly chunk: number;
  readonly buffer: SharedArrayBuffer;
}

/** A thread has a new name. Sent once for each name and thread, when the config that uses it is loaded. */
export interface StatAnnouncement {
  readonly type: 'stat';
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly name: string;
  /** Histograms only. */
  readonly unit?: HistogramUnit;
  /** Gauges only. */
  readonly mode?: GaugeMode;
  readonly chunk: number;
  readonly slot: number;
}

/** A text readout was made (`value` undefined) or has a new text: texts travel, only numbers are shared. */
export interface TextAnnouncement {
  readonly type: 'text';
  readonly name: string;
  readonly value: string | undefined;
}

/** What a thread tells main about its stats. Plain data: it can be posted through a MessagePort as it is. */
export type StatsAnnouncement = ChunkAnnouncement | StatAnnouncement | TextAnnouncement;
