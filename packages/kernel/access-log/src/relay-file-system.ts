import type { FileSystem } from './file-system.ts';
import type { LogRelayClient } from './log-relay.ts';

/**
 * A worker thread's file system: it writes to regular files itself, and has the main thread write where writes of several
 * threads would mix.
 */
export class RelayFileSystem implements FileSystem {
  private readonly system: FileSystem;
  private readonly relay: LogRelayClient;
  /** Descriptors of relayed paths, kept for good: a path that is opened again has the same. */
  private readonly descriptors = new Map<string, number>();
  private readonly paths = new Map<number, string>();

  constructor(system: FileSystem, relay: LogRelayClient) {
    this.system = system;
    this.relay = relay;
    if (!system.keepsWritesWhole(1)) this.paths.set(1, '/dev/stdout');
    if (!system.keepsWritesWhole(2)) this.paths.set(2, '/dev/stderr');
  }

  /** A path that the main thread writes to is opened again by the main thread, unless it is a regular file by now. */
  open(path: string): number {
    const relayed = this.descriptors.get(path);
    if (relayed !== undefined && !this.system.keepsWritesWhole(path)) return relayed;
    const fd = this.system.open(path);
    if (this.system.keepsWritesWhole(fd)) return fd;
    // Opened here first, so that what is wrong comes out at once; held until the main thread has it too, so that the reader
    // of a named pipe does not see its only writer go.
    this.relay.open(path, () => this.system.close(fd));
    return relayed ?? this.addPath(path);
  }

  write(fd: number, data: Uint8Array, offset: number, done: Parameters<FileSystem['write']>[3]): void {
    const path = this.paths.get(fd);
    if (path === undefined) {
      this.system.write(fd, data, offset, done);
      return;
    }
    this.relay.write(path, data.subarray(offset), (error) =>
      done(error, error === null ? data.length - offset : 0),
    );
  }

  /** Does not wait for the main thread: this one is about to end, and what it has posted arrives all the same. */
  writeSync(fd: number, data: Uint8Array, offset: number): number {
    const path = this.paths.get(fd);
    if (path === undefined) return this.system.writeSync(fd, data, offset);
    this.relay.write(path, data.subarray(offset), () => {});
    return data.length - offset;
  }

  close(fd: number): void {
    if (!this.paths.has(fd)) this.system.close(fd);
  }

  keepsWritesWhole(target: string | number): boolean {
    return this.system.keepsWritesWhole(target);
  }

  sleep(ms: number): void {
    this.system.sleep(ms);
  }

  /** Numbers from -2 down are no descriptors of the system's. */
  private addPath(path: string): number {
    const fd = -2 - this.descriptors.size;
    this.descriptors.set(path, fd);
    this.paths.set(fd, path);
    return fd;
  }
}
