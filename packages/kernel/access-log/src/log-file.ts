import type { Clock, Counter, Gauge, LogFile, Logger, StatsScope, Timer } from '@dragoman/core';
import { wideToBytes } from './escape.ts';
import type { FileSystem } from './file-system.ts';

/** Envoy's `filesystem.` stats, and one of ours. */
export class FileStats {
  /** Entries taken. */
  readonly writeBuffered: Counter;
  /** Batches written. */
  readonly writeCompleted: Counter;
  /** Batches lost to an error. */
  readonly writeFailed: Counter;
  /** Entries lost because the target did not keep up. Not in Envoy, which has no bound. */
  readonly writeDropped: Counter;
  /** Flushes by the timer. */
  readonly flushedByTimer: Counter;
  readonly reopenFailed: Counter;
  /** Bytes that wait. */
  readonly writeTotalBuffered: Gauge;

  constructor(stats: StatsScope) {
    const scope = stats.scope('filesystem');
    this.writeBuffered = scope.counter('write_buffered');
    this.writeCompleted = scope.counter('write_completed');
    this.writeFailed = scope.counter('write_failed');
    this.writeDropped = scope.counter('write_dropped');
    this.flushedByTimer = scope.counter('flushed_by_timer');
    this.reopenFailed = scope.counter('reopen_failed');
    this.writeTotalBuffered = scope.gauge('write_total_buffered');
  }
}

/** What all files of a process share. */
export interface FileSurroundings {
  readonly clock: Clock;
  readonly fileSystem: FileSystem;
  readonly stats: FileStats;
  readonly logger: Logger;
  /** Bytes after which a batch is written without waiting for the timer. */
  readonly batchBytes: number;
  /** Bytes that may wait for one file; entries beyond are dropped, batches of other threads beyond are refused. */
  readonly maxBufferedBytes: number;
  /** Something waits now that the timer should see to. */
  onBuffered(): void;
}

/** A log file that takes batches of other threads besides the entries of its own. */
export interface SharedLogFile extends LogFile {
  /**
   * Writes `data`, whole entries that another thread gathered and counts, in its turn and as it is. `data` must not change until
   * `done` is called, once: when it is through (null), or lost to an error. Never blocks, never throws.
   */
  writeBatch(data: Uint8Array, done: (error: Error | null) => void): void;
}

interface Batch {
  readonly data: Uint8Array;
  /** Called when it is through, or lost to an error. */
  done(error: Error | null): void;
}

/** How long to wait for a pipe that is full, milliseconds. */
const RETRY_MS = 10;
/** How long {@link BatchedLogFile.closeSync} waits for such a pipe, milliseconds. */
const CLOSE_PATIENCE_MS = 1000;

/**
 * One file. Entries gather in batches; one batch is on its way at a time, so that the order stays. Entries are strings
 * of bytes (latin1); one with other characters is taken for text and written as UTF-8. A batch holds whole entries only.
 */
export class BatchedLogFile implements SharedLogFile {
  readonly path: string;
  private readonly around: FileSurroundings;
  private readonly retry: Timer;
  private fd: number;
  /** Standard output and error are not ours to open again, or to close. */
  private readonly owned: boolean;
  private current = '';
  /** Full batches, oldest first. */
  private full: Batch[] = [];
  /** The batch on its way, and how much of it is through. */
  private writing: Batch | undefined = undefined;
  private written = 0;
  /** A write that the system has not answered yet. */
  private inFlight = false;
  /** Bytes of this thread's entries in `current`, `full` and `writing`. */
  private buffered = 0;
  /** Bytes of other threads' batches in `full` and `writing`. */
  private relayed = 0;
  /** Batches ever closed, and batches that are through or lost: what {@link flush} waits by. */
  private closedBatches = 0;
  private doneBatches = 0;
  private reopening = false;
  private dropping = false;
  private failing = false;
  private closed = false;
  private waiters: { readonly batch: number; readonly done: () => void }[] = [];

  constructor(path: string, fd: number, owned: boolean, around: FileSurroundings) {
    this.path = path;
    this.fd = fd;
    this.owned = owned;
    this.around = around;
    this.retry = around.clock.timer(() => this.submit());
  }

  write(text: string): void {
    if (text === '') return;
    const entry = wideToBytes(text);
    const { stats, maxBufferedBytes, batchBytes } = this.around;
    if (this.closed || this.buffered + entry.length > maxBufferedBytes) {
      this.drop();
      return;
    }
    stats.writeBuffered.inc();
    stats.writeTotalBuffered.add(entry.length);
    this.buffered += entry.length;
    if (this.current === '') this.around.onBuffered();
    this.current += entry;
    if (this.current.length >= batchBytes) this.startFlush();
  }

  writeBatch(data: Uint8Array, done: (error: Error | null) => void): void {
    if (this.closed) {
      done(new Error('the main thread has closed it'));
      return;
    }
    // Each thread that waits for its answers has one batch here; more are of threads that died.
    if (this.relayed > this.around.maxBufferedBytes) {
      done(new Error(`it does not keep up: ${this.relayed} bytes of other threads wait`));
      return;
    }
    this.relayed += data.length;
    this.enqueue(data, (error) => {
      this.relayed -= data.length;
      done(error);
    });
    this.next();
  }

  /** Whether a batch has begun that only the timer would close. */
  get pending(): boolean {
    return this.current !== '';
  }

  /** Whether the system has a write of this file to do. */
  get writeBegun(): boolean {
    return this.inFlight;
  }

  /** Writes what is there; resolves when it is through, or lost to an error. */
  flush(): Promise<void> {
    this.startFlush();
    if (this.doneBatches === this.closedBatches) return Promise.resolve();
    return new Promise((done) => {
      this.waiters.push({ batch: this.closedBatches, done });
    });
  }

  /** Closes the batch that has begun and writes it, without word of when it is through. */
  startFlush(): void {
    this.closeBatch();
    this.next();
  }

  /** Goes on in a file newly opened under the same path, from the next batch on. */
  reopen(): void {
    if (!this.owned || this.closed) return;
    this.reopening = true;
    if (this.writing === undefined) this.openAgain();
  }

  /**
   * Writes what waits at once, blocking, and closes. A write that the system was given is left to it; what stands behind it
   * in the batch goes with it.
   */
  closeSync(): void {
    if (this.closed) return;
    this.closed = true;
    this.retry.disable();
    if (this.reopening) this.openAgain();
    this.closeBatch();
    const batches = this.full;
    this.full = [];
    const parts = batches.map((batch) => batch.data);
    if (this.writing !== undefined) {
      batches.unshift(this.writing);
      if (!this.inFlight) parts.unshift(this.writing.data.subarray(this.written));
    }
    const error = this.writeAllSync(Buffer.concat(parts));
    // The descriptor stays open while the system still works on it: the process is about to end.
    if (this.owned && !this.inFlight) this.around.fileSystem.close(this.fd);
    for (const batch of batches) batch.done(batch === this.writing && this.inFlight ? null : error);
    this.doneBatches = this.closedBatches;
    this.settle();
  }

  /** Moves the entries gathered so far to the batches that wait for their turn. */
  private closeBatch(): void {
    if (this.current === '') return;
    const data = Buffer.from(this.current, 'latin1');
    this.current = '';
    this.enqueue(data, (error) => {
      this.buffered -= data.length;
      this.around.stats.writeTotalBuffered.sub(data.length);
      if (this.dropping && this.buffered < this.around.maxBufferedBytes / 2) this.dropping = false;
      this.count(error);
    });
  }

  private enqueue(data: Uint8Array, done: Batch['done']): void {
    this.full.push({ data, done });
    this.closedBatches++;
  }

  /** Takes up the next batch when none is on its way. */
  private next(): void {
    if (this.writing !== undefined || this.closed) return;
    if (this.reopening) this.openAgain();
    this.writing = this.full.shift();
    this.written = 0;
    this.submit();
  }

  private submit(): void {
    if (this.writing === undefined || this.closed) return;
    this.inFlight = true;
    const { data } = this.writing;
    this.around.fileSystem.write(this.fd, data, this.written, (error, count) => this.onWritten(error, count));
  }

  private onWritten(error: NodeJS.ErrnoException | null, count: number): void {
    this.inFlight = false;
    const batch = this.writing;
    if (batch === undefined || this.closed) return;
    if (error?.code === 'EAGAIN' || error?.code === 'EINTR') {
      this.retry.enable(RETRY_MS);
      return;
    }
    this.written += count;
    if (error === null && this.written < batch.data.length) {
      this.submit();
      return;
    }
    this.writing = undefined;
    this.doneBatches++;
    batch.done(error);
    this.settle();
    this.next();
  }

  /** Opens the path again. When that fails the old file goes on, and the next batch tries again. */
  private openAgain(): void {
    const { fileSystem, stats, logger } = this.around;
    try {
      const fd = fileSystem.open(this.path);
      fileSystem.close(this.fd);
      this.fd = fd;
      this.reopening = false;
    } catch (error) {
      stats.reopenFailed.inc();
      logger.error(`cannot reopen log file ${this.path}: ${(error as Error).message}`);
    }
  }

  /** Writes all of `data`, blocking; gives the error that it was lost to. */
  private writeAllSync(data: Uint8Array): Error | null {
    const { fileSystem } = this.around;
    let offset = 0;
    let patience = CLOSE_PATIENCE_MS;
    while (offset < data.length) {
      try {
        offset += fileSystem.writeSync(this.fd, data, offset);
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if ((code === 'EAGAIN' || code === 'EINTR') && patience > 0) {
          fileSystem.sleep(RETRY_MS);
          patience -= RETRY_MS;
          continue;
        }
        return error as Error;
      }
    }
    return null;
  }

  /** Counts a batch that is through, or lost; says so once for a row of those. */
  private count(error: Error | null): void {
    if (error === null) {
      this.failing = false;
      this.around.stats.writeCompleted.inc();
      return;
    }
    this.around.stats.writeFailed.inc();
    if (!this.failing) this.around.logger.error(`cannot write to log file ${this.path}: ${error.message}`);
    this.failing = true;
  }

  /** Counts a lost entry; says so once for a row of them. */
  private drop(): void {
    this.around.stats.writeDropped.inc();
    if (this.dropping) return;
    this.dropping = true;
    this.around.logger.error(
      this.closed
        ? `log file ${this.path} is closed: entries are dropped`
        : `log file ${this.path} does not keep up: ${this.buffered} bytes wait, entries are dropped`,
    );
  }

  /** Tells those who wait for batches that are done. */
  private settle(): void {
    while (this.waiters.length > 0 && (this.waiters[0] as { batch: number }).batch <= this.doneBatches) {
      this.waiters.shift()?.done();
    }
  }
}
