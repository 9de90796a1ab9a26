import type { Connection, ConnectionCloseKind, ConnectionHandler } from '@dragoman/core';

/** A handler that keeps what it is told, for tests of whatever writes to a connection. */
export class ConnectionRecorder implements ConnectionHandler {
  /** Events in their order: `data:5`, `end`, `writable`, `close:remote:reason`. */
  readonly events: string[] = [];
  private readonly chunks: Buffer[] = [];

  /** @param connection becomes this recorder's */
  constructor(connection?: Connection) {
    connection?.setHandler(this);
  }

  /** Everything received so far. */
  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }

  /** The same as latin1 text. */
  get text(): string {
    return this.bytes.toString('latin1');
  }

  /** What was received since the last call, as latin1 text. */
  take(): string {
    const { text } = this;
    this.chunks.length = 0;
    return text;
  }

  get closed(): boolean {
    return this.events.some((event) => event.startsWith('close:'));
  }

  onData(data: Buffer): void {
    this.chunks.push(Buffer.from(data));
    this.events.push(`data:${data.length}`);
  }

  onEnd(): void {
    this.events.push('end');
  }

  onWritable(): void {
    this.events.push('writable');
  }

  onClose(kind: ConnectionCloseKind, reason: string): void {
    this.events.push(`close:${kind}:${reason}`);
  }
}
