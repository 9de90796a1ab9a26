import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import {
  type FieldLines,
  FrameReader,
  frames,
  FrameType,
  HTTP2_PREFACE,
  type Http2Frame,
  hpack,
  http2Frame,
} from '@dragoman/testing';

/** One connection of a {@link RawServer}: sends whatever it is told, and keeps all frames that come. */
export class RawPeer {
  readonly socket: Socket;
  readonly received: Http2Frame[] = [];
  private readonly reader = new FrameReader();
  private prefaceLeft = HTTP2_PREFACE.length;

  constructor(socket: Socket, onFrame: (peer: RawPeer, frame: Http2Frame) => void) {
    this.socket = socket;
    socket.on('error', () => {});
    socket.on('data', (data: Buffer) => {
      const skipped = Math.min(this.prefaceLeft, data.length);
      this.prefaceLeft -= skipped;
      for (const frame of this.reader.push(data.subarray(skipped))) {
        this.received.push(frame);
        onFrame(this, frame);
      }
    });
  }

  /** Frames of one type so far. */
  of(type: number): Http2Frame[] {
    return this.received.filter((frame) => frame.type === type);
  }

  send(type: number, flags: number, streamId: number, payload?: Buffer): this {
    return this.write(http2Frame(type, flags, streamId, payload));
  }

  /** @param entries identifier and value in turn */
  settings(...entries: number[]): this {
    const pairs: [number, number][] = [];
    for (let i = 0; i + 1 < entries.length; i += 2)
      pairs.push([entries[i] as number, entries[i + 1] as number]);
    return this.write(frames.settings(pairs));
  }

  /** In as many frames as it takes. */
  headers(streamId: number, fields: FieldLines, endStream = false): this {
    return this.write(frames.block(streamId, hpack.block(fields), { endStream }));
  }

  data(streamId: number, text: string, endStream = false): this {
    return this.write(frames.data(streamId, text, { endStream }));
  }

  reset(streamId: number, code: number): this {
    return this.write(frames.rstStream(streamId, code));
  }

  goAway(lastStreamId: number, code: number): this {
    return this.write(frames.goaway(lastStreamId, code));
  }

  window(streamId: number, increment: number): this {
    return this.write(frames.windowUpdate(streamId, increment));
  }

  private write(bytes: Buffer): this {
    this.socket.write(bytes);
    return this;
  }
}

export interface RawScript {
  /** Default: sends empty SETTINGS. */
  onConnection?(peer: RawPeer): void;
  onFrame?(peer: RawPeer, frame: Http2Frame): void;
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
        if (frame.type !== FrameType.headers || seen.has(frame.streamId)) return;
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
