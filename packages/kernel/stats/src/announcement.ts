import type { GaugeMode, HistogramUnit } from '@dragoman/core';

/** A thread has a new chunk of shared memory. */
export interface ChunkAnnouncement {
  readonly type: 'chunk';
  readonly chunk: number;
  readonly buffer: SharedArrayBuffer;
}

/** A thread has taken its first lease of a scope. */
export interface GroupAnnouncement {
  readonly type: 'group';
  /** Above 0; never used again by the thread. */
  readonly group: number;
  /** The scope's prefix: the same on every thread. */
  readonly key: string;
}

/** A thread has given its last lease of a scope back. */
export interface ReleaseAnnouncement {
  readonly type: 'release';
  readonly group: number;
}

/** A thread has a new name, or one that it has belongs to a further group. Sent when the config that uses it is loaded. */
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
  /** What it goes with. Undefined: it stays. */
  readonly group?: number;
}

/** A text readout was made (`value` undefined) or has a new text: texts travel, only numbers are shared. */
export interface TextAnnouncement {
  readonly type: 'text';
  readonly name: string;
  readonly value: string | undefined;
  /** With `value` undefined: what it goes with. Undefined: it stays. */
  readonly group?: number;
}

/** What a thread tells main about its stats. Plain data: it can be posted through a MessagePort as it is. */
export type StatsAnnouncement =
  | ChunkAnnouncement
  | GroupAnnouncement
  | ReleaseAnnouncement
  | StatAnnouncement
  | TextAnnouncement;
