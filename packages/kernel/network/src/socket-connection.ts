import type { Socket } from 'node:net';
import {
  type Clock,
  type CloseMode,
  type Connection,
  type ConnectionCloseKind,
  type ConnectionHandler,
  type ConnectionInfo,
  type Counter,
  type Logger,
  latin1Slice,
  type Timer,
  type TransportEvents,
} from '@dragoman/core';
import type { Dispatcher } from './dispatcher.ts';
import { type ReadBuffers, SHARED_READ_BYTES } from './read-buffers.ts';
import { describeSocketError } from './socket-errors.ts';
import { SocketLink, type SocketUser } from './socket-link.ts';

/** What the connections of one thread share. */
export interface NetworkContext {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly dispatcher: Dispatcher;
  readonly buffers: ReadBuffers;
}

/** Counters that a connection keeps while bytes flow. */
export interface ConnectionByteStats {
  readonly rxBytes: Counter;
  readonly txBytes: Counter;
}

export interface SocketConnectionOptions {
  /** `per_connection_buffer_limit_bytes`. */
  readonly bufferLimitBytes: number;
  readonly stats: ConnectionByteStats | undefined;
  /** How long `flush-and-wait` waits for the peer's end, ms (Envoy: `delayed_close_timeout`, 1 s). */
  readonly delayedCloseMs: number;
}

/** The private part of Node's socket that {@link SocketConnection.descriptor} reads. */
interface SocketInternals {
  readonly _handle?: { readonly fd?: number } | null;
}

/** Bodies up to this size join the text that is being gathered; larger ones are handed to the kernel as they are. */
const GATHER_BYTES = 8 * 1024;

/** Gathered text above this size is flushed at once, so that one event cannot gather without bound. */
const GATHER_LIMIT = 64 * 1024;

const EMPTY = Buffer.alloc(0);

function ignoreError(): void {}

/** The reason that `onClose` gets when a peer neither read what was pending nor ended its side in time. */
export const DELAYED_CLOSE_TIMEOUT = 'delayed_close_timeout';

/**
 * A {@link Connection} on a Node socket. The socket reads into a buffer that we lend it (`onread`), so that no buffer is
 * allocated for a read; where a socket cannot (wrapped ones), `data` events deliver buffers of their own.
 */
export class SocketConnection implements Connection, SocketUser {
  readonly info: ConnectionInfo;
  delayedCloseMs: number;
  /** Above it a writer should stop (`per_connection_buffer_limit_bytes`). */
  bufferLimitBytes: number;
  bytesRead = 0;
  bytesWritten = 0;
  /** What a socket that reads into our buffers takes as its `onread`. */
  readonly link: SocketLink = new SocketLink(this);
  private socket!: Socket;
  /** The plain socket below a transport's. */
  private below: Socket | undefined = undefined;
  /** Begins the secure transport of a connection that started plain; set by who knows it. */
  secureLater: (() => void) | undefined = undefined;
  /** Nothing may leave in the clear any more: what is written waits for the transport's socket. */
  private securing = false;
  /** From when the transport has the socket until it is ready: the handler hears of nothing but the end. */
  private handshaking = false;
  /** {@link end} was called meanwhile. */
  private endDue = false;
  /** Another library has the socket. */
  private taken = false;
  /** No layer of another protocol between us and the kernel, which has all that was written once Node has none of it. */
  private plain = false;
  private handler: ConnectionHandler;
  private readonly context: NetworkContext;
  private readonly options: SocketConnectionOptions;

  private text = '';
  private scheduled = false;
  /** A flush callback is under way, and when it comes `handler.onWritable` is due. */
  private awaitingFlush = false;
  private writableDue = false;

  private pauses = 0;
  private inRead = false;
  private bulk: Buffer | undefined = undefined;
  private bulkWanted = false;
  private readBuffer: Buffer;
  /** The one that the socket reads into. */
  private lentBuffer: Buffer | undefined = undefined;
  /** The chunk in hand lies in a buffer that can be kept. */
  private holdable = false;
  private held = false;

  private closing = false;
  private closed = false;
  private ended = false;
  private closeKind: ConnectionCloseKind = 'remote';
  private closeReason = '';
  private delayedClose: Timer | undefined = undefined;

  private idleTimer: Timer | undefined = undefined;
  private idleMs = 0;
  private lastActivity = 0;

  constructor(
    info: ConnectionInfo,
    context: NetworkContext,
    options: SocketConnectionOptions,
    handler: ConnectionHandler,
  ) {
    this.info = info;
    this.context = context;
    this.options = options;
    this.bufferLimitBytes = options.bufferLimitBytes;
    this.handler = handler;
    this.delayedCloseMs = options.delayedCloseMs;
    this.readBuffer = context.buffers.shared;
  }

  /**
   * For `net.Socket`'s `onread.buffer`: asked after every read; the buffer for the next one, or undefined to go on with the
   * same (which spares the way into C++).
   */
  nextBuffer(): Buffer | undefined {
    if (this.bulkWanted !== (this.bulk !== undefined) && !this.held) this.switchBuffer();
    if (this.lentBuffer === this.readBuffer) return undefined;
    this.lentBuffer = this.readBuffer;
    return this.readBuffer;
  }

  /** For `net.Socket`'s `onread.callback`. */
  onRead(size: number, buffer: Uint8Array): boolean {
    if (this.closing) return true;
    this.holdable = buffer !== this.context.buffers.shared;
    this.deliver((buffer as Buffer).subarray(0, size));
    return this.pauses === 0 && !this.taken;
  }

  /** Ties this connection to its socket. `usesOnRead` says whether the socket was made with {@link link}. */
  attach(socket: Socket, usesOnRead: boolean): void {
    this.socket = socket;
    this.plain = usesOnRead;
    if (!usesOnRead) socket.on('data', this.onSocketData);
    this.link.tie(socket);
  }

  private readonly onSocketData = (chunk: Buffer): void => {
    if (this.closing) return;
    this.holdable = true;
    this.deliver(chunk);
  };

  /** A transport will come: what is written before it is there waits for it, and nothing goes out in the clear. */
  awaitTransport(): void {
    this.securing = true;
  }

  /** Sends what goes before any handshake. */
  sendPreamble(bytes: Buffer): void {
    this.count(bytes.length);
    this.socket.write(bytes);
  }

  /**
   * Puts a transport between the socket and the handler. The handler hears nothing until the transport is ready; what it writes
   * meanwhile waits, or goes through the transport, which keeps it.
   *
   * @param wrap makes the transport's socket of the plain one
   * @param unread bytes that were delivered and belong to the transport
   * @param onReady the handshake is through, as one event of this connection
   */
  startTransport(
    wrap: (socket: Socket, events: TransportEvents) => unknown,
    unread: Buffer | undefined,
    onReady: () => void,
  ): void {
    const { socket } = this;
    this.securing = true;
    socket.pause();
    if (socket.writableLength > 0) {
      this.startWhenSent(wrap, unread, onReady);
      return;
    }
    this.link.untie(socket);
    // Whoever wraps it deals with its errors; until then, and where nobody does, they are no reason to end the thread.
    socket.on('error', ignoreError);
    socket.removeListener('data', this.onSocketData);
    if (unread !== undefined && unread.length > 0) socket.unshift(Buffer.from(unread));
    let secure: Socket;
    try {
      secure = wrap(socket, this.transportEvents(onReady)) as Socket;
    } catch (error) {
      // Whoever closes it is to hear that it has closed.
      this.link.tie(socket);
      throw error;
    }
    // What the transport reads is its own; only plain bytes are counted.
    this.bytesRead -= unread?.length ?? 0;
    if (secure !== socket) this.below = socket;
    this.handshaking = true;
    this.attach(secure, false);
    if (this.pauses > 0) secure.pause();
    this.releaseWrites();
  }

  private transportEvents(onReady: () => void): TransportEvents {
    return {
      onReady: () => {
        this.handshaking = false;
        if (this.closing) return;
        this.info.handshakeComplete = this.context.clock.now();
        this.run(onReady);
      },
      onFailed: (reason) => {
        if (this.closed) return;
        this.info.transportFailureReason = reason;
        if (!this.closing) {
          this.closing = true;
          this.closeReason = reason;
        }
        this.socket.destroy();
      },
    };
  }

  /** What was written in the clear goes first; the transport would take the socket from under it. */
  private startWhenSent(...[wrap, unread, onReady]: Parameters<SocketConnection['startTransport']>): void {
    const kept = unread === undefined ? undefined : Buffer.from(unread);
    this.pauses++;
    this.socket.write(EMPTY, (error) => {
      this.pauses--;
      if (!this.closing && !error) this.run(() => this.startTransport(wrap, kept, onReady));
    });
  }

  /** The transport keeps from now on what is written before its handshake is through. */
  private releaseWrites(): void {
    this.securing = false;
    this.flush();
    if (this.writableDue) this.awaitFlush();
    if (this.endDue) this.socket.end();
  }

  takeSocket(unread: Buffer | undefined): Socket {
    const { socket } = this;
    this.taken = true;
    // A socket that flows would throw away what is put back.
    socket.pause();
    this.link.untieEnd(socket);
    socket.removeListener('data', this.onSocketData);
    if (unread !== undefined && unread.length > 0) socket.unshift(Buffer.from(unread));
    this.bulk = undefined;
    socket.once('end', () => socket.destroy());
    // Once it flows again only its end comes this way: the bytes are read below it. The unread ones are fetched in the next tick.
    setImmediate(() => socket.resume());
    return socket;
  }

  startSecureTransport(): boolean {
    const begin = this.secureLater;
    if (begin === undefined || this.closing) return false;
    this.secureLater = undefined;
    this.flush();
    this.securing = true;
    begin();
    return true;
  }

  sampleBytes(): void {
    if (!this.taken) return;
    const { socket, options } = this;
    const { bytesRead, bytesWritten } = socket;
    options.stats?.rxBytes.add(bytesRead - this.bytesRead);
    options.stats?.txBytes.add(bytesWritten - this.bytesWritten);
    this.bytesRead = bytesRead;
    this.bytesWritten = bytesWritten;
  }

  /** Of the socket, for system calls on it; −1 where it has none, or no more. */
  get descriptor(): number {
    const { below, socket } = this;
    return ((below ?? socket) as unknown as SocketInternals)._handle?.fd ?? -1;
  }

  get open(): boolean {
    return !this.closing;
  }

  get bufferedBytes(): number {
    // Node counts on what it has dropped.
    if (this.closing && this.socket.destroyed) return 0;
    return this.text.length + this.socket.writableLength;
  }

  get aboveHighWatermark(): boolean {
    return this.bufferedBytes > this.bufferLimitBytes;
  }

  get readingPaused(): boolean {
    return this.pauses > 0;
  }

  /** True once the peer has ended its side. */
  get peerEnded(): boolean {
    return this.ended;
  }

  setHandler(handler: ConnectionHandler): void {
    this.handler = handler;
  }

  // --- Writing ---------------------------------------------------------------------------------------------------

  writeText(text: string): void {
    if (this.closing) return;
    this.text += text;
    this.count(text.length);
    if (!this.scheduled) {
      this.scheduled = true;
      this.context.dispatcher.schedule(this);
    }
    if (this.text.length > GATHER_LIMIT) this.flush();
  }

  writeBody(data: Buffer, holdable: boolean): boolean {
    if (this.closing) return true;
    const size = data.length;
    if (this.securing) {
      this.writeText(latin1Slice(data, 0, size));
      this.writableDue ||= this.aboveHighWatermark;
      return !this.writableDue;
    }
    if (size <= GATHER_BYTES) {
      // latin1 keeps every byte; copying a small body into the text is cheaper than a second write.
      this.writeText(latin1Slice(data, 0, size));
      if (this.bufferedBytes <= this.bufferLimitBytes) return true;
      this.flush();
      return this.waitForRoom(this.bufferLimitBytes);
    }
    if (holdable) this.sendLarge(data);
    else this.sendCopy(data);
    // A holdable chunk is free only when the kernel has all of it; a copied one may wait up to the limit.
    return this.waitForRoom(holdable ? 0 : this.bufferLimitBytes);
  }

  flush(): void {
    this.scheduled = false;
    const text = this.text;
    if (text === '' || this.securing) return;
    this.text = '';
    if (!this.closed) this.socket.write(text, 'latin1');
  }

  private sendCopy(data: Buffer): void {
    if (data.length > SHARED_READ_BYTES) {
      this.sendLarge(Buffer.from(data));
      return;
    }
    const { buffers } = this.context;
    const copy = buffers.takeCopy();
    data.copy(copy);
    this.sendLarge(copy.subarray(0, data.length));
    // Otherwise the rest of it waits in Node: then the garbage collector gets it.
    if (this.socket.writableLength === 0) buffers.giveCopy(copy);
  }

  private sendLarge(data: Buffer): void {
    const socket = this.socket;
    this.count(data.length);
    if (this.text === '') {
      socket.write(data);
      return;
    }
    socket.cork();
    this.flush();
    socket.write(data);
    socket.uncork();
  }

  private count(size: number): void {
    this.bytesWritten += size;
    this.options.stats?.txBytes.add(size);
    if (this.idleMs > 0) this.lastActivity = this.context.clock.now();
  }

  /** True when at most `limit` bytes wait in Node; otherwise false, and `onWritable` is due when none does. */
  private waitForRoom(limit: number): boolean {
    if (this.socket.writableLength <= limit) return true;
    this.writableDue = true;
    this.awaitFlush();
    return false;
  }

  private awaitFlush(): void {
    if (this.awaitingFlush) return;
    this.awaitingFlush = true;
    // An empty write behind the others: its callback says that they are done. Only a connection that is behind
    // pays for it; a callback on each write would cost every response a tick.
    if (this.socket.writableEnded) this.socket.once('finish', () => this.onFlushed());
    else this.socket.write(EMPTY, () => this.onFlushed());
  }

  private onFlushed(): void {
    this.awaitingFlush = false;
    if (this.closing || !this.writableDue || this.securing) return;
    // What was written behind that empty write may be a chunk whose owner waits for just this.
    if (!this.waitForRoom(0)) return;
    this.writableDue = false;
    this.run(() => this.handler.onWritable());
  }

  end(): void {
    if (this.closing) return;
    this.flush();
    if (this.securing) this.endDue = true;
    else this.socket.end();
  }

  close(mode: CloseMode, details = ''): void {
    if (this.closed) return;
    if (this.closing && (mode === 'flush' || mode === 'flush-and-wait')) return;
    if (!this.closing) {
      if (mode !== 'now' && mode !== 'reset') this.flush();
      this.closing = true;
      this.closeKind = 'local';
      this.closeReason = details;
      if (details !== '') this.info.terminationDetails = details;
      this.idleTimer?.disable();
    }
    switch (mode) {
      case 'now':
        this.socket.destroy();
        break;
      case 'reset':
        this.resetAndDestroy();
        break;
      case 'flush':
        this.closeWhenSent();
        break;
      case 'flush-and-wait':
        if (this.ended || this.delayedCloseMs <= 0) {
          this.closeWhenSent();
          break;
        }
        // What the peer still sends is read and dropped, so that closing does not reset it before it has read the answer.
        this.socket.end();
        // Not over a held chunk, though: the next read would write into it.
        if (!this.held) {
          this.pauses = 0;
          this.socket.resume();
        }
        this.startDelayedClose();
        break;
    }
  }

  /** A secure socket cannot send a RST, but the one below it can, and takes it along; a Unix socket knows none. */
  private resetAndDestroy(): void {
    if (this.info.directRemoteAddress.family === 'pipe') this.socket.destroy();
    else (this.below ?? this.socket).resetAndDestroy();
  }

  private closeWhenSent(): void {
    if (this.plain && this.socket.writableLength === 0 && !this.socket.connecting) {
      // Closing sends what the kernel has and then our end: a shutdown before it would only cost a system call and two turns.
      this.socket.destroy();
      return;
    }
    this.socket.destroySoon();
    this.startDelayedClose();
  }

  /** Closes when nothing has moved for `delayedCloseMs`; 0 waits without bound for what is pending. */
  private startDelayedClose(): void {
    if (this.closed || this.delayedCloseMs <= 0) return;
    let queued = this.queuedBytes;
    const timer = this.context.clock.timer(() => {
      const left = this.queuedBytes;
      if (left > 0 && left !== queued) {
        queued = left;
        timer.enable(this.delayedCloseMs);
        return;
      }
      this.closeReason = DELAYED_CLOSE_TIMEOUT;
      this.socket.destroy();
    });
    this.delayedClose = timer;
    timer.enable(this.delayedCloseMs);
  }

  /**
   * Bytes that the kernel has not taken. Node counts a write as a whole until all of it has gone; the part of it that is left
   * stands on the handle only.
   */
  private get queuedBytes(): number {
    const handle = (this.socket as unknown as { _handle?: { writeQueueSize?: number } | null })._handle;
    return handle?.writeQueueSize ?? this.socket.writableLength;
  }

  // --- Reading ---------------------------------------------------------------------------------------------------

  pauseReading(): void {
    if (++this.pauses === 1 && !this.inRead && !this.taken) this.socket.pause();
  }

  resumeReading(): void {
    if (this.pauses === 0 || --this.pauses > 0) return;
    if (!this.inRead && !this.closing && !this.taken) this.socket.resume();
  }

  setBulk(on: boolean): void {
    // The buffer itself changes between two reads (nextBuffer), never under a chunk in use.
    this.bulkWanted = on;
  }

  hold(): boolean {
    if (!this.inRead || !this.holdable || this.held) return false;
    this.held = true;
    this.pauseReading();
    return true;
  }

  release(reuse = true): void {
    if (!this.held) return;
    this.held = false;
    if (!reuse) {
      // Whoever references the chunk keeps the buffer; nextBuffer takes another one when bulk data goes on.
      this.bulk = undefined;
      this.readBuffer = this.context.buffers.shared;
    }
    this.resumeReading();
  }

  private switchBuffer(): void {
    if (this.bulk !== undefined) {
      this.context.buffers.giveBulk(this.bulk);
      this.bulk = undefined;
      this.readBuffer = this.context.buffers.shared;
    } else {
      this.bulk = this.context.buffers.takeBulk();
      this.readBuffer = this.bulk;
    }
  }

  private deliver(chunk: Buffer): void {
    this.bytesRead += chunk.length;
    this.options.stats?.rxBytes.add(chunk.length);
    if (this.idleMs > 0) this.lastActivity = this.context.clock.now();
    const { dispatcher } = this.context;
    this.inRead = true;
    dispatcher.enter();
    try {
      this.handler.onData(chunk);
    } catch (error) {
      this.onBug(error);
    }
    dispatcher.leave();
    this.inRead = false;
    if (this.pauses > 0 && !this.closed && !this.taken) this.socket.pause();
  }

  // --- Events ----------------------------------------------------------------------------------------------------

  onSocketEnd(): void {
    this.ended = true;
    if (this.handshaking) {
      // Half a connection is no use before there is a whole one.
      this.socket.destroy();
      return;
    }
    if (this.closing) {
      if (this.plain && this.socket.writableLength === 0) this.socket.destroy();
      else this.socket.destroySoon();
      return;
    }
    this.run(() => this.handler.onEnd());
  }

  onSocketError(error: NodeJS.ErrnoException): void {
    if (this.closeReason !== '' || this.closing) return;
    // A transport has told already, in words of its own.
    const told = this.below === undefined ? '' : this.info.transportFailureReason;
    this.closeReason = told || describeSocketError(error);
  }

  onSocketClose(): void {
    if (this.closed) return;
    this.closed = true;
    this.closing = true;
    this.sampleBytes();
    this.text = '';
    this.delayedClose?.disable();
    this.idleTimer?.disable();
    // A held chunk may still stand in another connection's write queue: then the buffer is not used again.
    if (this.bulk !== undefined && !this.held) this.switchBuffer();
    this.bulk = undefined;
    this.held = false;
    this.run(() => this.handler.onClose(this.closeKind, this.closeReason));
  }

  /** Runs `event` as one event of this connection: output is gathered, a bug costs the connection. */
  run(event: () => void): void {
    const { dispatcher } = this.context;
    dispatcher.enter();
    try {
      event();
    } catch (error) {
      this.onBug(error);
    }
    dispatcher.leave();
  }

  /** A bug in a handler costs its connection, never the thread. */
  private onBug(error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.context.logger.error(`[C${this.info.id}] closing the connection after an internal error: ${text}`);
    this.close('now', 'internal_error');
  }

  // --- Idle timeout ------------------------------------------------------------------------------------------------

  setIdleTimeout(ms: number, onIdle: () => void): void {
    this.idleTimer?.disable();
    this.idleMs = ms;
    if (ms <= 0) return;
    this.lastActivity = this.context.clock.now();
    const timer = this.context.clock.timer(() => {
      if (this.closing) return;
      const quiet = this.context.clock.now() - this.lastActivity;
      if (quiet < this.idleMs - 1) timer.enable(this.idleMs - quiet);
      else onIdle();
    });
    this.idleTimer = timer;
    timer.enable(ms);
  }
}
