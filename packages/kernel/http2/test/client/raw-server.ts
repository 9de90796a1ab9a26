import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** RFC 9113 section 6. */
export const Frame = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const Flag = { none: 0, endStream: 1, ack: 1, endHeaders: 4 } as const;

export interface RawFrame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

type Fields = readonly (readonly [name: string, value: string])[];

const PREFACE_BYTES = 24;
const HEAD_BYTES = 9;
/** The most that a peer takes in one frame, unless it says otherwise. */
const FRAME_BYTES = 16_384;

/** One connection of a {@link RawServer}: sends whatever it is told, and keeps all frames that come. */
export class RawPeer {
  readonly socket: Socket;
  readonly received: RawFrame[] = [];
  private buffered: Buffer = Buffer.alloc(0);
  private preface = false;
  private readonly onFrame: (peer: RawPeer, frame: RawFrame) => void;

  constructor(socket: Socket, onFrame: (peer: RawPeer, frame: RawFrame) => void) {
    this.socket = socket;
    this.onFrame = onFrame;
    socket.on('error', () => {});
    socket.on('data', (data) => this.take(data));
  }

  /** Frames of one type so far. */
  of(type: number): RawFrame[] {
    return this.received.filter((frame) => frame.type === type);
  }

  send(type: number, flags: number, streamId: number, payload: Buffer = Buffer.alloc(0)): this {
    this.socket.write(Buffer.concat([head(type, flags, streamId, payload.length), payload]));
    return this;
  }

  /** @param entries identifier and value in turn */
  settings(...entries: number[]): this {
    const payload = Buffer.alloc(entries.length * 3);
    for (let i = 0; i + 1 < entries.length; i += 2) {
      payload.writeUInt16BE(entries[i] as number, i * 3);
      payload.writeUInt32BE(entries[i + 1] as number, i * 3 + 2);
    }
    return this.send(Frame.settings, Flag.none, 0, payload);
  }

  headers(streamId: number, fields: Fields, endStream = false): this {
    const flags = Flag.endHeaders | (endStream ? Flag.endStream : 0);
    return this.send(Frame.headers, flags, streamId, fieldBlock(fields));
  }

  /** {@link headers} in as many frames as it takes. */
  longHeaders(streamId: number, fields: Fields, endStream = false): this {
    const block = fieldBlock(fields);
    for (let at = 0; at < block.length; at += FRAME_BYTES) {
      const last = at + FRAME_BYTES >= block.length ? Flag.endHeaders : 0;
      const flags = last | (at === 0 && endStream ? Flag.endStream : 0);
      this.send(
        at === 0 ? Frame.headers : Frame.continuation,
        flags,
        streamId,
        block.subarray(at, at + FRAME_BYTES),
      );
    }
    return this;
  }

  data(streamId: number, text: string, endStream = false): this {
    return this.send(Frame.data, endStream ? Flag.endStream : 0, streamId, Buffer.from(text));
  }

  reset(streamId: number, code: number): this {
    return this.send(Frame.rstStream, 0, streamId, uint32(code));
  }

  goAway(lastStreamId: number, code: number): this {
    return this.send(Frame.goaway, 0, 0, Buffer.concat([uint32(lastStreamId), uint32(code)]));
  }

  window(streamId: number, increment: number): this {
    return this.send(Frame.windowUpdate, 0, streamId, uint32(increment));
  }

  private take(data: Buffer): void {
    this.buffered = Buffer.concat([this.buffered, data]);
    if (!this.preface) {
      if (this.buffered.length < PREFACE_BYTES) return;
      this.preface = true;
      this.buffered = this.buffered.subarray(PREFACE_BYTES);
    }
    while (this.buffered.length >= HEAD_BYTES) {
      const length = this.buffered.readUIntBE(0, 3);
      if (this.buffered.length < HEAD_BYTES + length) return;
      const frame: RawFrame = {
        type: this.buffered[3] as number,
        flags: this.buffered[4] as number,
        streamId: this.buffered.readUInt32BE(5) & 0x7fffffff,
        payload: Buffer.from(this.buffered.subarray(HEAD_BYTES, HEAD_BYTES + length)),
      };
      this.buffered = this.buffered.subarray(HEAD_BYTES + length);
      this.received.push(frame);
      this.onFrame(this, frame);
    }
  }
}

export interface RawScript {
  /** Default: sends empty SETTINGS. */
  onConnection?(peer: RawPeer): void;
  onFrame?(peer: RawPeer, frame: RawFrame): void;
  /** HEADERS of a new stream. */
  onRequest?(peer: RawPeer, streamId: number): void;
}

/** A server that speaks HTTP/2 as badly as a test wants. */
export class RawServer implements AsyncDisposable {
  readonly peers: RawPeer[] = [];
  private readonly server: Server;

  private constructor(script: RawScript) {
    this.server = createServer((socket) => {
      const seen = new Set<number>();
      const peer = new RawPeer(socket, (self, frame) => {
        script.onFrame?.(self, frame);
        if (frame.type !== Frame.headers || seen.has(frame.streamId)) return;
        seen.add(frame.streamId);
        script.onRequest?.(self, frame.streamId);
      });
      this.peers.push(peer);
      if (script.onConnection === undefined) peer.settings();
      else script.onConnection(peer);
    });
  }

  static async start(script: RawScript): Promise<RawServer> {
    const made = new RawServer(script);
    await new Promise<void>((resolve) => made.server.listen(0, '127.0.0.1', resolve));
    return made;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** The latest connection. */
  get peer(): RawPeer {
    return this.peers.at(-1) as RawPeer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { socket } of this.peers) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

function head(type: number, flags: number, streamId: number, length: number): Buffer {
  const bytes = Buffer.alloc(HEAD_BYTES);
  bytes.writeUIntBE(length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(streamId, 5);
  return bytes;
}

/** HPACK (RFC 7541 section 6.2.2): every field as a literal that nobody remembers. */
export function fieldBlock(fields: Fields): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), literal(name), literal(value)]));
}

function literal(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  const prefix: number[] = [];
  let length = bytes.length;
  if (length < 127) prefix.push(length);
  else {
    prefix.push(127);
    length -= 127;
    for (; length >= 128; length >>= 7) prefix.push((length & 127) | 128);
    prefix.push(length);
  }
  return Buffer.concat([Buffer.from(prefix), bytes]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}
