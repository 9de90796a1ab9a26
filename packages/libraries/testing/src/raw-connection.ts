import type { Socket } from 'node:net';
import { parseResponse, type RawResponse } from './raw-response.ts';
import { within } from './wait.ts';

/** A TCP connection in a test's hands: bytes out exactly as given, bytes in as they come. */
export class RawConnection {
  readonly socket: Socket;
  /**
   * Settles when the connection is gone both ways: true after a reset or another error. The peer's FIN alone does not end
   * it: see {@link readUntilClose}.
   */
  readonly closed: Promise<boolean>;
  /** Everything received so far and not yet taken by a read. */
  private pending: Buffer = Buffer.alloc(0);
  private total = 0;
  private ended = false;
  private gone = false;
  private failure: Error | undefined;
  private wake: (() => void) | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => {
      this.total += chunk.length;
      this.pending = this.pending.length === 0 ? chunk : Buffer.concat([this.pending, chunk]);
      this.notify();
    });
    socket.on('end', () => {
      this.ended = true;
      this.notify();
    });
    socket.on('error', (error) => {
      this.failure = error;
    });
    this.closed = new Promise((resolve) => {
      socket.on('close', (hadError) => {
        this.gone = true;
        this.notify();
        resolve(hadError);
      });
    });
  }

  /** Bytes received since the connection opened. */
  get bytesReceived(): number {
    return this.total;
  }

  /** The peer has ended its side. */
  get peerEnded(): boolean {
    return this.ended;
  }

  /** The error that ended the connection (`ECONNRESET`, …); undefined for an orderly end. */
  get error(): NodeJS.ErrnoException | undefined {
    return this.failure;
  }

  /**
   * Writes each piece by itself: a piece is handed to the kernel, and the event loop turned, before the next one.
   * Text is latin1: one character, one byte.
   */
  async write(...pieces: readonly (string | Buffer)[]): Promise<void> {
    for (const piece of pieces) {
      const bytes = typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece;
      await new Promise<void>((resolve) => {
        const done = (): void => {
          this.socket.off('close', done);
          resolve();
        };
        this.socket.write(bytes, done);
        // A connection that dies drops the callback on some paths: writing to a peer that is gone is no failure here.
        this.socket.once('close', done);
        if (this.socket.destroyed) done();
      });
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Ends our side (FIN) and goes on reading. */
  end(): void {
    this.socket.end();
  }

  /** Ends the connection with a RST. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  /** Ends the connection at once. */
  destroy(): void {
    this.socket.destroy();
  }

  /** Stops reading from the socket, so that the kernel's buffers fill. */
  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  /** At least one byte: whatever is there. Empty at the end. */
  async readSome(): Promise<Buffer> {
    await this.until(() => this.pending.length > 0, 'some bytes', true);
    return this.take(this.pending.length);
  }

  /** Exactly `length` bytes. @throws Error when the connection ends before */
  async read(length: number): Promise<Buffer> {
    await this.until(() => this.pending.length >= length, `${length} bytes`);
    return this.take(length);
  }

  /** Up to and with `mark`, as latin1 text. @throws Error when the connection ends before */
  async readUntil(mark: string): Promise<string> {
    const bytes = Buffer.from(mark, 'latin1');
    await this.until(() => this.pending.includes(bytes), JSON.stringify(mark));
    return this.take(this.pending.indexOf(bytes) + bytes.length).toString('latin1');
  }

  /** Everything until the peer ends its side or the connection is gone, as latin1 text. */
  async readUntilClose(): Promise<string> {
    await this.until(() => false, 'the end', true);
    return this.take(this.pending.length).toString('latin1');
  }

  /**
   * One HTTP/1.x response with its body; 1xx responses count as responses.
   *
   * @param forHead the request was HEAD: whatever the response says, it has no body
   * @throws Error when the connection ends inside it or it is not HTTP
   */
  async readResponse(forHead = false): Promise<RawResponse> {
    let parsed: RawResponse | undefined;
    await this.until(() => {
      parsed = parseResponse(this.pending, this.ended || this.gone, forHead);
      return parsed !== undefined;
    }, 'a response');
    const response = parsed as RawResponse;
    this.take(response.length);
    return response;
  }

  /** The next `count` responses, in order. */
  async readResponses(count: number): Promise<RawResponse[]> {
    const responses: RawResponse[] = [];
    while (responses.length < count) responses.push(await this.readResponse());
    return responses;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy();
    await this.closed;
  }

  private take(length: number): Buffer {
    const taken = this.pending.subarray(0, length);
    this.pending = this.pending.subarray(length);
    return taken;
  }

  private async until(ready: () => boolean, what: string, endIsFine = false): Promise<void> {
    while (!ready()) {
      if (this.ended || this.gone) {
        if (endIsFine) return;
        const seen = JSON.stringify(this.pending.toString('latin1').slice(0, 500));
        const why = this.failure === undefined ? '' : ` (${this.failure.message})`;
        throw new Error(`the connection ended${why} before ${what}; unread: ${seen}`);
      }
      await within(
        new Promise<void>((resolve) => {
          this.wake = resolve;
        }),
        `reading ${what}; unread: ${JSON.stringify(this.pending.toString('latin1').slice(0, 500))}`,
      );
    }
  }

  private notify(): void {
    this.wake?.();
    this.wake = undefined;
  }
}
