import { type Connection, Trailers } from '@dragoman/core';
import { ChunkFraming } from './chunk-framing.ts';
import { Http1Details } from './details.ts';
import { INCOMPLETE } from './field-scanner.ts';
import { HeadBuffer, HeadProgress } from './head-buffer.ts';
import { fillTrailers, scanner } from './message-head.ts';
import type { Http1CommonOptions } from './options.ts';

/** Where the reader stands. */
export const Input = {
  /** Between messages, or in a head. */
  head: 0,
  /** In a body of known length. */
  fixed: 1,
  /** In a chunked body. */
  chunked: 2,
  trailers: 3,
  /** In a body that ends with the connection. */
  untilClose: 4,
  /** The message is complete, the exchange is not. */
  wait: 5,
  /** The protocol was switched: bytes are passed on as they are. */
  raw: 6,
  /** Nothing is read any more. */
  dead: 7,
} as const;

/** From this size on it pays to hold the connection's buffer instead of letting the receiver copy. */
const HOLD_BYTES = 8 * 1024;
/** Bodies above this size are read with a large buffer. */
const BULK_BYTES = 64 * 1024;
/**
 * Bytes kept while nobody takes them. Reading is stopped as soon as there are any, so this is what one read brings,
 * with room for a layer that has another one on its way.
 */
const MAX_PENDING_BYTES = 1024 * 1024;

const EMPTY = Buffer.alloc(0);

/**
 * What both sides share: the reader's state machine, flow control of what is read, and bytes kept for later.
 *
 * Bytes arrive by {@link dispatch}. When the receiver stops the body, or the next request has to wait, the rest of a
 * read is copied, reading stops, and the loop goes on from the copy later.
 */
export abstract class CodecBase {
  protected readonly connection: Connection;
  private readonly common: Required<Http1CommonOptions>;
  protected input: number = Input.head;
  /** Bytes of a {@link Input.fixed} body still to come. */
  protected remaining = 0;
  /** The receiver wants no more body for now. */
  protected blocked = false;
  protected peerEnded = false;
  protected pumping = false;
  private live = false;
  private held = false;
  private paused = false;
  private bulk = false;
  private bodyBytes = 0;
  private pending: Buffer | undefined = undefined;
  private chunks: ChunkFraming | undefined = undefined;
  private readonly head: HeadBuffer = new HeadBuffer();

  constructor(connection: Connection, options: Required<Http1CommonOptions>) {
    this.connection = connection;
    this.common = options;
  }

  /** Reads a head; answers the offset behind it, or INCOMPLETE. Errors have been dealt with when it answers `end`. */
  protected abstract readHead(data: Buffer, start: number, end: number): number;
  /** Bytes before a head: answers the offset of the head's first byte. */
  protected abstract skipToHead(data: Buffer, start: number, end: number): number;
  /** Hands body over. False: stop. `last` has set {@link input} to wait before. */
  protected abstract deliver(chunk: Buffer, last: boolean, holdable: boolean): boolean;
  protected abstract deliverTrailers(trailers: Trailers): void;
  /** The peer's bytes are no HTTP. Sets {@link input} to dead. */
  protected abstract fail(status: number, details: string, message: string): void;
  /** Bytes that came while the message is complete. True: keep them; false: they are dealt with. */
  protected abstract onSurplus(): boolean;
  /** The bytes of this event have been read as far as they can be. */
  protected abstract afterPump(surplus: boolean): void;

  dispatch(data: Buffer): void {
    if (this.input === Input.dead || data.length === 0) return;
    if (this.pending !== undefined || this.blocked || this.pumping) this.keep(data, 0);
    else this.pump(data, true);
  }

  private pump(data: Buffer, live: boolean): void {
    const end = data.length;
    let p = 0;
    this.pumping = true;
    this.live = live;
    while (p < end && !this.blocked) {
      const input = this.input;
      if (input === Input.head) p = this.readOneHead(data, p, end);
      else if (input === Input.fixed) p = this.readFixed(data, p, end);
      else if (input === Input.chunked) p = this.readChunked(data, p, end);
      else if (input === Input.trailers) p = this.readTrailers(data, p, end);
      else if (input === Input.raw || input === Input.untilClose) {
        this.countBody(end - p);
        this.hand(p === 0 ? data : data.subarray(p, end), false);
        p = end;
      } else break;
    }
    this.pumping = false;
    this.live = false;
    const surplus = p < end && this.input !== Input.dead;
    if (surplus && (this.input !== Input.wait || this.onSurplus())) {
      if (live) this.keep(data, p);
      else this.keepOwn(data.subarray(p));
    }
    this.afterPump(surplus);
    if (this.peerEnded && this.pending === undefined && !this.blocked && !this.pumping) this.onInputEnd();
  }

  /** The peer has ended, and everything it sent has been read. */
  protected abstract onInputEnd(): void;

  private readOneHead(data: Buffer, start: number, end: number): number {
    if (this.head.active) return this.readSplitHead(data, start, end);
    const p = this.skipToHead(data, start, end);
    if (p >= end || this.input !== Input.head) return p;
    const next = this.readHead(data, p, end);
    if (next !== INCOMPLETE) return next;
    return this.readSplitHead(data, p, end);
  }

  private readSplitHead(data: Buffer, start: number, end: number): number {
    const bytes = this.gather(data, start, end, 'headers');
    if (bytes === undefined) return end;
    const { consumed } = this.head;
    if (this.readHead(bytes, 0, bytes.length) === INCOMPLETE) {
      this.fail(400, Http1Details.codecError, 'incomplete head');
    }
    return consumed;
  }

  /** Adds to the split head; answers it when it is complete. */
  private gather(data: Buffer, start: number, end: number, what: 'headers' | 'trailers'): Buffer | undefined {
    switch (this.head.add(data, start, end, this.common.maxHeaderBytes)) {
      case HeadProgress.complete:
        return this.head.takeBytes();
      case HeadProgress.tooLarge:
        this.failTooLarge(what);
        return undefined;
      case HeadProgress.invalid:
        this.fail(400, Http1Details.codecError, `invalid character in the ${what}`);
        return undefined;
      default:
        return undefined;
    }
  }

  protected failTooLarge(what: 'headers' | 'trailers'): void {
    const details = what === 'headers' ? Http1Details.headersTooLarge : Http1Details.trailersTooLarge;
    this.fail(431, details, `${what} are larger than ${this.common.maxHeaderBytes} bytes`);
  }

  /** Prepares for a body; to be called before the head is handed over. */
  protected expectFixed(length: number): void {
    this.input = Input.fixed;
    this.remaining = length;
    if (length > BULK_BYTES) this.startBulk();
  }

  protected expectChunked(): void {
    this.chunks ??= new ChunkFraming(this.common.maxChunkExtensionBytes);
    this.chunks.begin();
    this.input = Input.chunked;
    this.bodyBytes = 0;
  }

  protected expectUntilClose(input: number): void {
    this.input = input;
    this.bodyBytes = 0;
  }

  private countBody(bytes: number): void {
    this.bodyBytes += bytes;
    if (this.bodyBytes > BULK_BYTES) this.startBulk();
  }

  private startBulk(): void {
    if (this.bulk) return;
    this.bulk = true;
    this.connection.setBulk(true);
  }

  private endBulk(): void {
    if (!this.bulk) return;
    this.bulk = false;
    this.connection.setBulk(false);
  }

  private readFixed(data: Buffer, start: number, end: number): number {
    const stop = Math.min(end, start + this.remaining);
    this.remaining -= stop - start;
    const last = this.remaining === 0;
    if (last) this.endMessage();
    this.hand(start === 0 && stop === data.length ? data : data.subarray(start, stop), last);
    return stop;
  }

  private readChunked(data: Buffer, start: number, end: number): number {
    const chunks = this.chunks as ChunkFraming;
    let p = start;
    if (!chunks.inData) {
      p = chunks.read(data, p, end);
      if (chunks.error !== '') {
        this.fail(400, Http1Details.codecError, chunks.error);
        return end;
      }
      if (chunks.atTrailers) {
        this.input = Input.trailers;
        return p;
      }
      if (!chunks.inData || p >= end) return p;
    }
    const stop = Math.min(end, p + chunks.remaining);
    this.countBody(stop - p);
    const complete = stop - p === chunks.remaining;
    const last = complete && ChunkFraming.endsAt(data, stop, end);
    chunks.take(stop - p);
    if (last) this.endMessage();
    this.hand(data.subarray(p, stop), last);
    return last ? stop + ChunkFraming.END_BYTES : stop;
  }

  private readTrailers(data: Buffer, start: number, end: number): number {
    if (!this.head.active) {
      const next = scanner.scan(data, start, end, this.common.maxHeaderCount);
      if (next !== INCOMPLETE) {
        this.finishTrailers(data, start, next);
        return next < 0 ? end : next;
      }
    }
    const bytes = this.gather(data, start, end, 'trailers');
    if (bytes === undefined) return end;
    const { consumed } = this.head;
    this.finishTrailers(bytes, 0, scanner.scan(bytes, 0, bytes.length, this.common.maxHeaderCount));
    return consumed;
  }

  private finishTrailers(data: Buffer, start: number, next: number): void {
    if (next < 0) {
      if (scanner.tooMany) this.fail(431, Http1Details.tooManyTrailers, scanner.message);
      else this.fail(400, scanner.details, scanner.message);
      return;
    }
    if (next - start > this.common.maxHeaderBytes) {
      this.failTooLarge('trailers');
      return;
    }
    let trailers: Trailers | undefined;
    if (this.common.enableTrailers && scanner.count > 0) {
      trailers = new Trailers();
      fillTrailers(trailers, data, start, next);
    }
    this.endMessage();
    if (trailers !== undefined && trailers.size > 0) this.deliverTrailers(trailers);
    else this.deliver(EMPTY, true, true);
  }

  /** The message has been read to its end: set before its last part is handed over, as that may finish the exchange. */
  private endMessage(): void {
    this.input = Input.wait;
    this.endBulk();
  }

  private hand(chunk: Buffer, last: boolean): void {
    // Bytes kept from an earlier read are the codec's own: they stay valid as long as anybody has them.
    let holdable = !this.live;
    let holding = false;
    if (this.live && chunk.length >= HOLD_BYTES && this.connection.hold()) {
      holdable = true;
      holding = true;
      this.held = true;
    }
    const goOn = this.deliver(chunk, last, holdable);
    if (this.input === Input.dead) return;
    if (goOn) {
      if (holding) this.letGo();
    } else if (last) {
      // Nothing is left to stop. The receiver may forget its stream while the chunk is still queued, so that nobody would say
      // when it has gone: the buffer is left to the queue.
      if (holding) this.letGo(false);
    } else {
      this.blocked = true;
      this.updateReading();
    }
  }

  private letGo(reuse = true): void {
    if (!this.held) return;
    this.held = false;
    this.connection.release(reuse);
  }

  /** True while a receiver may still look at the connection's read buffer. */
  protected get holding(): boolean {
    return this.held;
  }

  protected pauseInput(): void {
    this.blocked = true;
    this.updateReading();
  }

  /** The receiver takes body again. */
  protected resumeInput(): void {
    this.blocked = false;
    this.letGo();
    this.goOn();
  }

  /** Reads on from what was kept, if it can. */
  protected goOn(): void {
    while (this.pending !== undefined && !this.blocked && !this.pumping && this.canRead()) {
      const data = this.pending;
      this.pending = undefined;
      this.pump(data, false);
    }
    this.updateReading();
    if (this.peerEnded && this.pending === undefined && !this.blocked && !this.pumping) this.onInputEnd();
  }

  private canRead(): boolean {
    return this.input !== Input.wait && this.input !== Input.dead;
  }

  /** Bytes that wait here: kept until somebody reads on, or on their way out. A chunk that is held lies in its receiver's queue. */
  get heldBytes(): number {
    return this.connection.bufferedBytes + (this.pending?.length ?? 0);
  }

  protected get hasPending(): boolean {
    return this.pending !== undefined;
  }

  private keep(data: Buffer, start: number): void {
    const size = data.length - start;
    const before = this.pending;
    if (size + (before?.length ?? 0) > MAX_PENDING_BYTES) {
      this.fail(400, Http1Details.codecError, 'too many bytes while reading is stopped');
      return;
    }
    const copy = Buffer.allocUnsafeSlow(size + (before?.length ?? 0));
    before?.copy(copy);
    data.copy(copy, before?.length ?? 0, start);
    this.keepOwn(copy);
  }

  private keepOwn(data: Buffer): void {
    this.pending = data;
    this.updateReading();
  }

  private updateReading(): void {
    const wanted = (this.blocked && !this.held) || this.pending !== undefined;
    if (wanted === this.paused) return;
    this.paused = wanted;
    if (wanted) this.connection.pauseReading();
    else this.connection.resumeReading();
  }

  /**
   * Nothing that the peer sends matters any more. A chunk that is held stays so until the connection is closed: another
   * connection's queue may still reference it, and reading on would overwrite what it sends.
   */
  protected stopInput(): void {
    this.input = Input.dead;
    this.pending = undefined;
    this.blocked = false;
    this.head.clear();
    if (!this.held) this.endBulk();
    this.updateReading();
  }

  /** The body's receiver is gone, the rest of the message will be thrown away. */
  protected unblock(): void {
    this.blocked = false;
    this.updateReading();
  }

  protected get readingHead(): boolean {
    return this.input === Input.head && this.head.active;
  }
}
