import type { FileSystem } from '../src/index.ts';

interface PendingWrite {
  readonly fd: number;
  readonly data: Uint8Array;
  readonly offset: number;
  readonly done: (error: NodeJS.ErrnoException | null, written: number) => void;
}

/** A file system error. */
export function systemError(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: from the test`), { code });
}

/** Files in memory; a write waits until the test lets it through. */
export class FakeFileSystem implements FileSystem {
  /** What each path holds; a moved file keeps its descriptor. */
  readonly contents = new Map<number, string>();
  readonly paths = new Map<number, string>();
  readonly closed: number[] = [];
  readonly pending: PendingWrite[] = [];
  /** Paths, and standard descriptors, that are no regular files. */
  readonly pipes = new Set<string | number>();
  /** Thrown by the next calls of {@link open} and {@link writeSync}. */
  openErrors: NodeJS.ErrnoException[] = [];
  syncErrors: NodeJS.ErrnoException[] = [];
  /** The most a blocking write takes at once. */
  syncLimit = Number.POSITIVE_INFINITY;
  slept = 0;
  private nextFd = 10;

  open(path: string): number {
    const error = this.openErrors.shift();
    if (error !== undefined) throw error;
    const fd = this.nextFd++;
    this.paths.set(fd, path);
    this.contents.set(fd, '');
    return fd;
  }

  write(fd: number, data: Uint8Array, offset: number, done: PendingWrite['done']): void {
    this.pending.push({ fd, data, offset, done });
  }

  writeSync(fd: number, data: Uint8Array, offset: number): number {
    const error = this.syncErrors.shift();
    if (error !== undefined) throw error;
    return this.append(fd, data, offset, this.syncLimit);
  }

  keepsWritesWhole(target: string | number): boolean {
    return !this.pipes.has(typeof target === 'string' ? target : (this.paths.get(target) ?? target));
  }

  close(fd: number): void {
    this.closed.push(fd);
  }

  sleep(ms: number): void {
    this.slept += ms;
  }

  /** Lets the oldest write through, or `limit` bytes of it, or fails it. */
  complete(how: { limit?: number; error?: NodeJS.ErrnoException } = {}): void {
    const write = this.pending.shift();
    if (write === undefined) throw new Error('no write is pending');
    if (how.error !== undefined) write.done(how.error, 0);
    else
      write.done(
        null,
        this.append(write.fd, write.data, write.offset, how.limit ?? Number.POSITIVE_INFINITY),
      );
  }

  completeAll(): void {
    while (this.pending.length > 0) this.complete();
  }

  text(fd: number): string {
    return this.contents.get(fd) ?? '';
  }

  private append(fd: number, data: Uint8Array, offset: number, limit: number): number {
    const end = Math.min(data.length, offset + limit);
    this.contents.set(fd, this.text(fd) + Buffer.from(data.subarray(offset, end)).toString('latin1'));
    return end - offset;
  }
}
