import { closeSync, openSync, writeSync } from 'node:fs';
import { ConfigError } from '@dragoman/core';

/** Where lines go. Never throws. */
export interface LogSink {
  write(line: string): void;
  /** Opens the file again under its path. Gives back what went wrong; then the old one stays in use. */
  reopen(): string | undefined;
  close(): void;
}

/** What the sink needs of the operating system; tests put their own in its place. */
export interface LogFileSystem {
  open(path: string): number;
  write(fd: number, data: Uint8Array): number;
  close(fd: number): void;
  /** Blocks the thread. */
  sleep(ms: number): void;
}

/** As Envoy creates its log files: readable by all, writable by the owner, less the umask. */
const FILE_MODE = 0o644;
const STDERR = 2;
/** A log that is not read may hold the proxy up for this long; after that, lines are dropped until it is read again. */
const PATIENCE_MS = 50;

const systemFiles: LogFileSystem = {
  open: (path) => openSync(path, 'a', FILE_MODE),
  write: (fd, data) => writeSync(fd, data),
  close: (fd) => closeSync(fd),
  sleep: (ms) => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  },
};

/**
 * Writes lines at once, so that the last ones before a crash are there. What a full pipe does not take is waited for a
 * little; lines that come while it stays full are dropped, and counted in a line of their own later.
 */
export class DescriptorSink implements LogSink {
  private readonly path: string | undefined;
  private readonly notice: (dropped: number) => string;
  private readonly files: LogFileSystem;
  private fd: number;
  /** What the target did not take of a line. */
  private rest: Uint8Array | undefined = undefined;
  private dropped = 0;
  private closed = false;

  /**
   * @param path undefined: standard error
   * @param notice the line that tells how many were dropped
   * @throws ConfigError when the file cannot be opened
   */
  constructor(path: string | undefined, notice: (dropped: number) => string, files = systemFiles) {
    this.path = path;
    this.notice = notice;
    this.files = files;
    if (path === undefined) {
      this.fd = STDERR;
      return;
    }
    try {
      this.fd = files.open(path);
    } catch (error) {
      throw ConfigError.at('', `cannot open log file "${path}": ${(error as Error).message}`);
    }
  }

  write(line: string): void {
    if (this.closed) return;
    // Who let us wait once in vain is not waited for again until all was read.
    const stalled = this.rest !== undefined;
    if (!this.putRest(0)) {
      this.dropped++;
      return;
    }
    const notice = this.dropped > 0 ? `${this.notice(this.dropped)}\n` : '';
    this.dropped = 0;
    this.put(Buffer.from(`${notice}${line}\n`), stalled ? 0 : PATIENCE_MS);
  }

  reopen(): string | undefined {
    if (this.path === undefined || this.closed) return undefined;
    let fd: number;
    try {
      fd = this.files.open(this.path);
    } catch (error) {
      return `cannot reopen log file "${this.path}": ${(error as Error).message}`;
    }
    this.putRest(PATIENCE_MS);
    this.rest = undefined;
    this.closeDescriptor();
    this.fd = fd;
    return undefined;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.putRest(PATIENCE_MS);
    if (this.path !== undefined) this.closeDescriptor();
  }

  private closeDescriptor(): void {
    try {
      this.files.close(this.fd);
    } catch {
      // Nothing can be done about it, and nowhere to say so.
    }
  }

  /** False: the target still takes nothing. */
  private putRest(patienceMs: number): boolean {
    if (this.rest !== undefined) this.put(this.rest, patienceMs);
    return this.rest === undefined;
  }

  /** Writes `data`; what the target does not take stays in {@link rest}. Another error loses it. */
  private put(data: Uint8Array, patienceMs: number): void {
    let left = data;
    this.rest = undefined;
    for (let waited = 0; left.length > 0; ) {
      try {
        left = left.subarray(this.files.write(this.fd, left));
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code;
        if (code === 'EINTR') continue;
        // A closed pipe or a full disk: there is nobody to tell.
        if (code !== 'EAGAIN') return;
        if (waited >= patienceMs) {
          this.rest = left;
          return;
        }
        this.files.sleep(1);
        waited++;
      }
    }
  }
}

/** Hands lines to a function of the embedding program. What it throws is its own affair. */
export class FunctionSink implements LogSink {
  private readonly to: (line: string) => void;
  private closed = false;

  constructor(to: (line: string) => void) {
    this.to = to;
  }

  write(line: string): void {
    if (this.closed) return;
    try {
      this.to(line);
    } catch {
      // A log must not fail what it reports on.
    }
  }

  reopen(): undefined {
    return undefined;
  }

  close(): void {
    this.closed = true;
  }
}
