import { Duplex } from 'node:stream';
import type { Connection } from '@dragoman/core';

/**
 * The stream that a session speaks on: the connection's own socket where it may be taken, which Node reads and writes without
 * JavaScript in between; else a stream over the connection, which costs more.
 *
 * @param unread what has been delivered already
 * @param mayTake nobody else wants the connection's bytes
 */
export function socketOf(connection: Connection, unread: Buffer | undefined, mayTake: boolean): Duplex {
  if (mayTake && connection.takeSocket !== undefined) return connection.takeSocket(unread) as Duplex;
  return new ConnectionStream(connection, unread);
}

/** A connection as a stream. Its owner hands on what the connection's handler is told. */
export class ConnectionStream extends Duplex {
  private readonly connection: Connection;
  private pendingWrite: ((error?: Error | null) => void) | undefined = undefined;
  private readingStopped = false;

  constructor(connection: Connection, unread: Buffer | undefined) {
    super({ allowHalfOpen: true });
    this.connection = connection;
    if (unread !== undefined && unread.length > 0) this.push(Buffer.from(unread));
  }

  onData(data: Buffer): void {
    if (this.push(Buffer.from(data)) || this.readingStopped) return;
    this.readingStopped = true;
    this.connection.pauseReading();
  }

  onEnd(): void {
    this.push(null);
  }

  onWritable(): void {
    const done = this.pendingWrite;
    this.pendingWrite = undefined;
    done?.();
  }

  onClose(): void {
    this.destroy();
  }

  override _read(): void {
    if (!this.readingStopped) return;
    this.readingStopped = false;
    this.connection.resumeReading();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    if (!this.connection.open) done(new Error('the connection is closed'));
    else if (this.connection.writeBody(chunk, true)) done();
    else this.pendingWrite = done;
  }

  override _final(done: (error?: Error | null) => void): void {
    this.connection.end();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    // So that the peer can read why.
    if (this.connection.open) this.connection.close('flush-and-wait');
    done(error);
  }
}
