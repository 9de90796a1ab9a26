import type { LogLevel } from '@dragoman/core';

/** One message on its way into the log. */
export interface LogEntry {
  readonly level: LogLevel;
  /** The component. */
  readonly logger: string;
  readonly message: string;
  /** Milliseconds since the Unix epoch, perhaps with a fraction. */
  readonly wallTime: number;
  /** Of the thread, as the log prints it; undefined: the thread that the log is on. */
  readonly threadId?: number | undefined;
}

/** Makes the line of an entry, without its line end. */
export type LineFormat = (entry: LogEntry) => string;

/** The number that stands for this thread in the log. */
export interface LogThread {
  readonly processId: number;
  /** As Linux counts: the main thread has the number of the process. */
  readonly threadId: number;
}
