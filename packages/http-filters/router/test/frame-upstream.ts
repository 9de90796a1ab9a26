import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { FrameReader, frames, FrameType, HTTP2_PREFACE, type Http2Frame, hpack } from '@dragoman/testing';

/** What a test does with a request: `send` writes bytes on its connection. */
export type FrameAnswer = (streamId: number, send: (...bytes: Buffer[]) => void, socket: Socket) => void;

export const OK: Buffer = hpack.block([[':status', '200']]);

/** An HTTP/2 server that answers with the very frames that a test wants. */
export class FrameUpstream implements AsyncDisposable {
  readonly received: Http2Frame[] = [];
  readonly sockets: Socket[] = [];
  private readonly server: Server;

  private constructor(answer: FrameAnswer, settings: Buffer) {
    this.server = createServer((socket) => this.serve(socket, answer, settings));
  }

  /** @param settings the first frame; empty: none */
  static async start(answer: FrameAnswer, settings: Buffer = frames.settings()): Promise<FrameUpstream> {
    const made = new FrameUpstream(answer, settings);
    await new Promise<void>((resolve) => made.server.listen(0, '127.0.0.1', resolve));
    return made;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** HEADERS that opened streams. */
  get requests(): number {
    return this.received.filter(({ type }) => type === FrameType.headers).length;
  }

  private serve(socket: Socket, answer: FrameAnswer, settings: Buffer): void {
    this.sockets.push(socket);
    const reader = new FrameReader();
    let preface = HTTP2_PREFACE.length;
    socket.on('error', () => {});
    socket.write(settings);
    socket.on('data', (data: Buffer) => {
      const skipped = Math.min(preface, data.length);
      preface -= skipped;
      for (const frame of reader.push(data.subarray(skipped))) {
        this.received.push(frame);
        if (frame.type !== FrameType.headers) continue;
        answer(frame.streamId, (...bytes) => void socket.write(Buffer.concat(bytes)), socket);
      }
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
