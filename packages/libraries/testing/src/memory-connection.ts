import {
  Address,
  type CloseMode,
  type Connection,
  type ConnectionCloseKind,
  type ConnectionHandler,
  type ConnectionInfo,
} from '@dragoman/core';
import type { FakeClock } from './clock.ts';

/** How a {@link connectionPair} behaves. */
export interface ConnectionPairOptions {
  /** Bytes written and not yet taken by the peer above which a side is over its watermark. Default 1 MiB. */
  readonly highWatermarkBytes?: number;
  /** Bytes that one `onData` gets at most; 1 tries every split. Default: all that was written. */
  readonly chunkBytes?: number;
  /** Whether `hold()` grants chunks; default true. */
  readonly holdable?: boolean;
  /** Of the idle timeouts. Without it they never fire. */
  readonly clock?: FakeClock;
  readonly info?: Partial<ConnectionInfo>;
  /** Pairs that {@link ConnectionPair.run} drives as well: what a proxy has connected to meanwhile. */
  readonly alongside?: readonly ConnectionPair[];
}

/** Two ends of a connection in memory. Nothing moves until {@link run} is called, so that a test sees every step. */
export interface ConnectionPair {
  /** The side that connected. */
  readonly client: MemoryConnection;
  /** The side that accepted. */
  readonly server: MemoryConnection;
  /** Delivers bytes and events both ways until nothing is left that can be delivered. */
  run(): void;
  /** Delivers one thing to each side. @returns whether there was one */
  step(): boolean;
}

let nextId = 1;

/** A {@link ConnectionInfo} with documentation addresses, for tests of what needs one. */
export function connectionInfo(over: Partial<ConnectionInfo> = {}): ConnectionInfo {
  const remote = Address.ip('192.0.2.1', 40_000);
  return {
    id: nextId++,
    localAddress: Address.ip('192.0.2.2', 80),
    directRemoteAddress: remote,
    remoteAddress: over.directRemoteAddress ?? remote,
    requestedServerName: '',
    applicationProtocols: [],
    transportProtocol: 'raw_buffer',
    tls: undefined,
    negotiatedProtocol: '',
    handshakeComplete: 0,
    startTime: 0,
    transportFailureReason: '',
    terminationDetails: '',
    ...over,
  };
}

/** Makes both ends. The server's addresses are those of `options.info`, the client's the same turned round. */
export function connectionPair(options: ConnectionPairOptions = {}): ConnectionPair {
  const info = connectionInfo(options.info);
  const mirrored = connectionInfo({
    localAddress: info.remoteAddress,
    directRemoteAddress: info.localAddress,
    remoteAddress: info.localAddress,
  });
  const server = new MemoryConnection(info, options);
  const client = new MemoryConnection(mirrored, options);
  server.peer = client;
  client.peer = server;
  const step = () => {
    const first = client.step();
    const second = server.step();
    return first || second;
  };
  const run = () => {
    for (let moved = true; moved; ) {
      moved = step();
      for (const pair of options.alongside ?? []) moved = pair.step() || moved;
    }
  };
  return { client, server, run, step };
}

/** How a side ended, on its way to the peer. */
type Ending = 'open' | 'end' | 'close' | 'reset';

const NOBODY: ConnectionHandler = {
  onData: () => {},
  onEnd: () => {},
  onWritable: () => {},
  onClose: () => {},
};

/**
 * One end. Keeps the promises of {@link Connection}: handlers are called from {@link ConnectionPair.run} only, chunks are
 * overwritten after `onData` unless they were held, and what was written as holdable is not copied before it leaves.
 */
export class MemoryConnection implements Connection {
  readonly info: ConnectionInfo;
  bytesRead = 0;
  bytesWritten = 0;
  bufferedBytes = 0;
  /** @internal */
  peer!: MemoryConnection;
  /** Kept for tests to look at: in memory a peer reads at once, so `flush-and-wait` is the same as `flush`. */
  delayedCloseMs = 1000;
  /** Whether the caller has said that bulk data follows. */
  bulk = false;
  private readonly options: ConnectionPairOptions;
  private readonly highWatermark: number;
  private handler: ConnectionHandler = NOBODY;
  private outgoing: Buffer[] = [];
  private ending: Ending = 'open';
  private endDelivered = false;
  private isOpen = true;
  private closeKind: ConnectionCloseKind | undefined;
  private closeReason = '';
  private pauses = 0;
  private wantsWritable = false;
  private inData: Buffer | undefined;
  private held: Buffer | undefined;
  private disarmIdle: (() => void) | undefined;
  private rearmIdle: (() => void) | undefined;

  /** @internal Made by {@link connectionPair}. */
  constructor(info: ConnectionInfo, options: ConnectionPairOptions) {
    this.info = info;
    this.options = options;
    this.highWatermark = options.highWatermarkBytes ?? 1024 * 1024;
  }

  get open(): boolean {
    return this.isOpen && this.ending !== 'close';
  }

  get aboveHighWatermark(): boolean {
    return this.bufferedBytes > this.highWatermark;
  }

  get readingPaused(): boolean {
    return this.pauses > 0;
  }

  setHandler(handler: ConnectionHandler): void {
    this.handler = handler;
  }

  writeText(text: string): void {
    this.enqueue(Buffer.from(text, 'latin1'));
  }

  writeBody(data: Buffer, holdable: boolean): boolean {
    const goOn = this.bufferedBytes + data.length <= this.highWatermark;
    // As on a socket: bytes that may be held are referenced while the writer waits, others are copied.
    this.enqueue(holdable && !goOn ? data : Buffer.from(data));
    if (!goOn) this.wantsWritable = true;
    return goOn;
  }

  flush(): void {}

  end(): void {
    if (this.ending === 'open') this.ending = 'end';
  }

  close(mode: CloseMode, details?: string): void {
    if (!this.isOpen || this.ending === 'close' || this.ending === 'reset') return;
    if (details !== undefined) this.info.terminationDetails = details;
    if (mode === 'flush' || mode === 'flush-and-wait') {
      this.ending = 'close';
      return;
    }
    this.outgoing = [];
    this.bufferedBytes = 0;
    this.ending = mode === 'reset' ? 'reset' : 'close';
    this.shut('local', '');
  }

  pauseReading(): void {
    this.pauses++;
  }

  resumeReading(): void {
    if (this.pauses === 0) throw new Error('resumeReading without pauseReading');
    this.pauses--;
  }

  setBulk(on: boolean): void {
    this.bulk = on;
  }

  hold(): boolean {
    if (this.inData === undefined) throw new Error('hold is for the inside of onData');
    if (this.options.holdable === false) return false;
    if (this.held === undefined) {
      this.held = this.inData;
      this.pauses++;
    }
    return true;
  }

  release(reuse = true): void {
    if (this.held === undefined) return;
    if (reuse) scribble(this.held);
    this.held = undefined;
    this.pauses--;
  }

  setIdleTimeout(ms: number, onIdle: () => void): void {
    this.disarmIdle?.();
    this.disarmIdle = undefined;
    this.rearmIdle = undefined;
    const clock = this.options.clock;
    if (ms === 0 || clock === undefined) return;
    const timer = clock.timer(() => {
      this.rearmIdle = undefined;
      onIdle();
    });
    timer.enable(ms);
    this.disarmIdle = () => timer.disable();
    this.rearmIdle = () => timer.enable(ms);
  }

  /** @internal Delivers one thing to this side. @returns whether there was one */
  step(): boolean {
    if (this.closeKind !== undefined) {
      const kind = this.closeKind;
      this.closeKind = undefined;
      this.handler.onClose(kind, this.closeReason);
      return true;
    }
    if (!this.isOpen) return false;
    const { peer } = this;
    if (peer.ending === 'reset') {
      this.shut('remote', 'connection reset by peer');
      return true;
    }
    if (peer.outgoing.length > 0 && !this.readingPaused) {
      this.receive();
      return true;
    }
    if (this.wantsWritable && this.bufferedBytes === 0) {
      this.wantsWritable = false;
      this.handler.onWritable();
      return true;
    }
    if (peer.outgoing.length === 0 && peer.ending !== 'open' && !this.endDelivered && !this.readingPaused) {
      this.endDelivered = true;
      this.handler.onEnd();
      return true;
    }
    // Everything of ours has left: a close that waited for it happens now, as does one that both sides have asked for.
    if (
      this.outgoing.length === 0 &&
      (this.ending === 'close' || (this.ending === 'end' && this.endDelivered))
    ) {
      this.shut('local', '');
      return true;
    }
    if (this.endDelivered && peer.ending === 'close' && !peer.isOpen) {
      this.shut('remote', '');
      return true;
    }
    return false;
  }

  private enqueue(bytes: Buffer): void {
    if (!this.isOpen || this.ending !== 'open' || bytes.length === 0) return;
    this.outgoing.push(bytes);
    this.bufferedBytes += bytes.length;
    this.bytesWritten += bytes.length;
    this.rearmIdle?.();
  }

  private receive(): void {
    const { peer } = this;
    const all = Buffer.concat(peer.outgoing);
    const length = Math.min(all.length, this.options.chunkBytes ?? all.length);
    const chunk = Buffer.from(all.subarray(0, length));
    peer.outgoing = length < all.length ? [all.subarray(length)] : [];
    peer.bufferedBytes -= length;
    this.bytesRead += length;
    this.rearmIdle?.();
    this.inData = chunk;
    this.handler.onData(chunk);
    this.inData = undefined;
    if (this.held !== chunk) scribble(chunk);
  }

  private shut(kind: ConnectionCloseKind, reason: string): void {
    this.isOpen = false;
    this.disarmIdle?.();
    this.closeKind = kind;
    this.closeReason = reason;
    if (this.ending === 'open') this.ending = 'close';
  }
}

/** A borrowed chunk is somebody else's after its time: whoever kept it sees nonsense, as with a real socket. */
function scribble(chunk: Buffer): void {
  chunk.fill(0xfe);
}
