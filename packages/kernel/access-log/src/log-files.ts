import { type Clock, ConfigError, type LogFiles, type LoggerFactory, type StatsScope } from '@dragoman/core';
import { type FileSystem, systemFileSystem } from './file-system.ts';
import { BatchedLogFile, FileStats, type FileSurroundings, type SharedLogFile } from './log-file.ts';
import type { LogRelayClient } from './log-relay.ts';
import { RelayFileSystem } from './relay-file-system.ts';

export interface LogFilesOptions {
  readonly clock: Clock;
  /** Speaks as component `file`. */
  readonly loggers: LoggerFactory;
  /** The server's root scope: stats are `filesystem.…`. */
  readonly stats: StatsScope;
  /** Milliseconds an entry waits at most; default 10,000 (Envoy: `--file-flush-interval-msec`). */
  readonly flushIntervalMs?: number;
  /** Bytes after which a batch is written at once; default 65,536, Envoy's. */
  readonly batchBytes?: number;
  /** Bytes that may wait for one file while its disk or reader stalls; default 64 MiB. Further entries are dropped and counted. */
  readonly maxBufferedBytes?: number;
  readonly fileSystem?: FileSystem;
  /** On a worker thread: the way to the main thread, which writes to pipes, sockets and terminals for all threads. */
  readonly relay?: LogRelayClient;
}

/** The log files of one thread. */
export interface LogFilesImpl extends LogFiles {
  /** @throws ConfigError when the file cannot be opened. */
  open(path: string): SharedLogFile;
  /** Writes everything that waits; resolves when it is through, or lost to an error. */
  flush(): Promise<void>;
  /** Opens every file again under its path, after it was moved away (SIGUSR1, `/reopen_logs`). */
  reopen(): void;
  /**
   * Writes everything that waits, blocking, and closes: for the end of the thread. Await {@link flush} before, when there
   * is time. What the main thread writes for this one is only sent, and counts as written.
   */
  close(): void;
}

const STANDARD: ReadonlyMap<string, number> = new Map([
  ['/dev/stdout', 1],
  ['/dev/stderr', 2],
]);

/**
 * How long {@link LogFilesImpl.close} waits for writes that the system was given, milliseconds. They should come before the rest;
 * and one that still queues for a thread of libuv's pool when the thread that gave it ends is never made (measured).
 */
const LAST_WRITES_MS = 20;

/** Log files with Envoy's way of writing: batches, flushed by size, by a timer and at the end. */
export function createLogFiles(options: LogFilesOptions): LogFilesImpl {
  return new BatchedLogFiles(options);
}

class BatchedLogFiles implements LogFilesImpl {
  private readonly files = new Map<string, BatchedLogFile>();
  private readonly around: FileSurroundings;
  private closed = false;

  constructor(options: LogFilesOptions) {
    const stats = new FileStats(options.stats);
    const intervalMs = options.flushIntervalMs ?? 10_000;
    const timer = options.clock.timer(() => {
      for (const file of this.files.values()) {
        if (!file.pending) continue;
        stats.flushedByTimer.inc();
        file.startFlush();
      }
    });
    const system = options.fileSystem ?? systemFileSystem;
    this.around = {
      clock: options.clock,
      fileSystem: options.relay === undefined ? system : new RelayFileSystem(system, options.relay),
      stats,
      logger: options.loggers.logger('file'),
      batchBytes: options.batchBytes ?? 64 * 1024,
      maxBufferedBytes: options.maxBufferedBytes ?? 64 * 1024 * 1024,
      // Idle files cost nothing: the timer runs only while something waits.
      onBuffered: () => {
        if (!timer.enabled) timer.enable(intervalMs);
      },
    };
  }

  open(path: string): SharedLogFile {
    const known = this.files.get(path);
    if (known !== undefined) return known;
    if (this.closed) throw ConfigError.at('path', 'log files are closed');
    const standard = STANDARD.get(path);
    const file = new BatchedLogFile(
      path,
      standard ?? this.openDescriptor(path),
      standard === undefined,
      this.around,
    );
    this.files.set(path, file);
    return file;
  }

  async flush(): Promise<void> {
    await Promise.all([...this.files.values()].map((file) => file.flush()));
  }

  reopen(): void {
    for (const file of this.files.values()) file.reopen();
  }

  close(): void {
    this.closed = true;
    const files = [...this.files.values()];
    this.files.clear();
    if (files.some((file) => file.writeBegun)) this.around.fileSystem.sleep(LAST_WRITES_MS);
    for (const file of files) file.closeSync();
  }

  private openDescriptor(path: string): number {
    if (path === '') throw ConfigError.at('path', 'must not be empty');
    try {
      return this.around.fileSystem.open(path);
    } catch (error) {
      throw ConfigError.at('path', `cannot open log file "${path}": ${(error as Error).message}`);
    }
  }
}
