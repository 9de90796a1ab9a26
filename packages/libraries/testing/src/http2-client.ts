import { connect, type NetConnectOpts } from 'node:net';
import type { Duplex } from 'node:stream';
import {
  FrameFlag,
  FrameReader,
  FrameType,
  frames,
  HTTP2_PREFACE,
  type Http2Frame,
  unpadded,
} from './http2-frames.ts';
import { type FieldLines, HpackDecoder, hpack } from './http2-hpack.ts';
import type { RawTarget } from './raw-client.ts';
import { within } from './wait.ts';

/** What a {@link FrameClient} does by itself. */
export interface FrameClientOptions {
  /** Whether the server's SETTINGS are acknowledged; default true. */
  readonly ackSettings?: boolean;
  /** Whether the server's PINGs are answered; default true. */
  readonly ackPings?: boolean;
}

/** What has come on one stream. */
export interface FrameResponse {
  /** Of the final headers; 0 before they came. */
  status: number;
  headers: FieldLines;
  /** Interim responses, by status. */
  informational: number[];
  body: Buffer;
  trailers: FieldLines | undefined;
  /** END_STREAM has come. */
  ended: boolean;
  /** The code of RST_STREAM. */
  reset: number | undefined;
}

/** The GOAWAY that came last. */
export interface FrameGoaway {
  readonly lastStreamId: number;
  readonly code: number;
  readonly debug: string;
}

/**
 * The client side of HTTP/2 in a test's hands, which sends what it is told, be it right or wrong. It knows nothing of windows and streams;
 * what comes is kept, as frames and as responses.
 */
export class FrameClient {
  /** Every frame that came, in order. */
  readonly received: Http2Frame[] = [];
  goaway: FrameGoaway | undefined = undefined;
  /** Bytes of DATA payload that came, on all streams. */
  bodyBytes = 0;
  private readonly reader = new FrameReader();
  private readonly decoder = new HpackDecoder();
  private readonly responses = new Map<number, FrameResponse>();
  private readonly options: FrameClientOptions;
  private readonly write: (bytes: Buffer) => void;
  private block: { streamId: number; endStream: boolean; parts: Buffer[] } | undefined = undefined;

  constructor(write: (bytes: Buffer) => void, options: FrameClientOptions = {}) {
    this.write = write;
    this.options = options;
  }

  /** Sends the preface and SETTINGS. */
  begin(settings: Readonly<Record<number, number>> = {}): this {
    return this.send(HTTP2_PREFACE, frames.settings(settings));
  }

  /** Sends bytes as they are. */
  send(...bytes: readonly Buffer[]): this {
    this.write(bytes.length === 1 ? (bytes[0] as Buffer) : Buffer.concat(bytes));
    return this;
  }

  /** Sends HEADERS of a request: a GET of `/`, over which `fields` stand. */
  request(streamId: number, fields: Readonly<Record<string, string>> = {}, endStream = true): this {
    return this.send(frames.headers(streamId, requestBlock(fields), { endStream }));
  }

  /** What has come on a stream. */
  response(streamId: number): FrameResponse {
    let found = this.responses.get(streamId);
    if (found === undefined) {
      found = {
        status: 0,
        headers: [],
        informational: [],
        body: Buffer.alloc(0),
        trailers: undefined,
        ended: false,
        reset: undefined,
      };
      this.responses.set(streamId, found);
    }
    return found;
  }

  /** Frames of a type, and of a stream, that have come. */
  framesOf(type: number, streamId?: number): Http2Frame[] {
    return this.received.filter(
      (frame) => frame.type === type && (streamId === undefined || frame.streamId === streamId),
    );
  }

  /** The settings that the server sent, by identifier. */
  get serverSettings(): Readonly<Record<number, number>> {
    const found: Record<number, number> = {};
    for (const { flags, payload } of this.framesOf(FrameType.settings)) {
      if ((flags & FrameFlag.ack) !== 0) continue;
      for (let at = 0; at + 6 <= payload.length; at += 6)
        found[payload.readUInt16BE(at)] = payload.readUInt32BE(at + 2);
    }
    return found;
  }

  /** Takes bytes from the server. */
  feed(bytes: Buffer): void {
    for (const frame of this.reader.push(bytes)) {
      this.received.push(frame);
      this.take(frame);
    }
  }

  private take(frame: Http2Frame): void {
    const { type, flags, streamId, payload } = frame;
    const endStream = (flags & FrameFlag.endStream) !== 0;
    switch (type) {
      case FrameType.data: {
        const data = unpadded(frame);
        const response = this.response(streamId);
        this.bodyBytes += data.length;
        if (data.length > 0) response.body = Buffer.concat([response.body, data]);
        response.ended ||= endStream;
        break;
      }
      case FrameType.headers:
        this.block = { streamId, endStream, parts: [unpadded(frame)] };
        this.endBlock(flags);
        break;
      case FrameType.continuation:
        this.block?.parts.push(payload);
        this.endBlock(flags);
        break;
      case FrameType.rstStream:
        this.response(streamId).reset = payload.readUInt32BE();
        break;
      case FrameType.settings:
        if (!endStream && this.options.ackSettings !== false) this.write(frames.settingsAck());
        break;
      case FrameType.ping:
        if (!endStream && this.options.ackPings !== false) this.write(frames.ping(payload, true));
        break;
      case FrameType.goaway:
        this.goaway = {
          lastStreamId: payload.readUInt32BE() & 0x7fff_ffff,
          code: payload.readUInt32BE(4),
          debug: payload.toString('latin1', 8),
        };
        break;
    }
  }

  private endBlock(flags: number): void {
    const { block } = this;
    if (block === undefined || (flags & FrameFlag.endHeaders) === 0) return;
    this.block = undefined;
    const fields = this.decoder.decode(Buffer.concat(block.parts));
    const response = this.response(block.streamId);
    const status = Number(fields.find(([name]) => name === ':status')?.[1] ?? 0);
    if (response.status > 0) response.trailers = fields;
    else if (status < 200 && status > 0) response.informational.push(status);
    else {
      response.status = status;
      response.headers = fields;
    }
    response.ended ||= block.endStream;
  }
}

/** The field block of a GET of `/`, over which `fields` stand; a field that is empty is left out. */
export function requestBlock(fields: Readonly<Record<string, string>> = {}): Buffer {
  const all: Record<string, string> = {
    ':method': 'GET',
    ':scheme': 'http',
    ':path': '/',
    ':authority': 'test',
    ...fields,
  };
  return hpack.block(Object.entries(all).filter(([name, value]) => !name.startsWith(':') || value !== ''));
}

/** A {@link FrameClient} on a socket. */
export class FrameConnection extends FrameClient implements AsyncDisposable {
  readonly socket: Duplex;
  /** The server has ended its side, or the connection is gone. */
  ended = false;
  /** The connection is gone. */
  closed = false;
  private readonly gone: Promise<void>;
  private waiting: (() => void)[] = [];

  /** @param socket connected; a TLS socket has agreed on `h2` */
  constructor(socket: Duplex, options: FrameClientOptions = {}) {
    super((bytes) => {
      if (socket.writable) socket.write(bytes);
    }, options);
    this.socket = socket;
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      this.feed(chunk);
      this.wake();
    });
    socket.on('end', () => {
      this.ended = true;
      this.wake();
    });
    this.gone = new Promise((resolve) => {
      socket.on('close', () => {
        this.ended = true;
        this.closed = true;
        this.wake();
        resolve();
      });
    });
  }

  /** Connects in clear, and sends nothing yet. @throws Error of Node (`ECONNREFUSED`, …) */
  static async connect(target: RawTarget, options: FrameClientOptions = {}): Promise<FrameConnection> {
    // Half-open: the server's end does not end our side by itself.
    const socket = connect({
      host: '127.0.0.1',
      noDelay: true,
      ...target,
      allowHalfOpen: true,
    } as NetConnectOpts);
    await within(
      new Promise<void>((resolve, reject) => {
        socket.once('connect', resolve);
        socket.once('error', reject);
      }),
      'connecting',
    );
    return new FrameConnection(socket, options);
  }

  /** Waits until `condition` holds after something came, or the connection ended. @throws Error when time is up */
  async until(condition: () => boolean, what = 'what is waited for', patienceMs?: number): Promise<void> {
    const reached = async (): Promise<void> => {
      while (!condition() && !this.closed) await new Promise<void>((resolve) => this.waiting.push(resolve));
    };
    await within(reached(), what, patienceMs);
    if (!condition()) throw new Error(`the connection ended before ${what}`);
  }

  /** The complete response on a stream, or its reset. */
  async complete(streamId: number, patienceMs?: number): Promise<FrameResponse> {
    const response = this.response(streamId);
    await this.until(
      () => response.ended || response.reset !== undefined,
      `the response on stream ${streamId}`,
      patienceMs,
    );
    return response;
  }

  /** Waits until the server has ended the connection. */
  async untilEnded(patienceMs?: number): Promise<void> {
    await this.until(() => this.ended, 'the end of the connection', patienceMs);
  }

  /**
   * Waits until the server has read and answered all that was sent before: sends a PING and waits for its answer.
   * @returns false when the connection ended instead
   */
  async settled(): Promise<boolean> {
    const before = this.pongs;
    this.send(frames.ping('settled?'));
    await within(
      (async () => {
        while (this.pongs === before && !this.ended)
          await new Promise<void>((resolve) => this.waiting.push(resolve));
      })(),
      'the answer to a PING',
    );
    return this.pongs > before;
  }

  private get pongs(): number {
    return this.received.filter(
      ({ type, flags, payload }) =>
        type === FrameType.ping && flags === FrameFlag.ack && payload.toString('latin1') === 'settled?',
    ).length;
  }

  /**
   * Sends one piece after another, no faster than they are taken, until there are no more or the server has ended the connection.
   * @returns pieces that were sent
   */
  async pour(pieces: Iterable<Buffer>): Promise<number> {
    let sent = 0;
    for (const piece of pieces) {
      if (this.ended || !this.socket.writable) break;
      sent++;
      if (this.socket.write(piece)) {
        // The server's answers must be read meanwhile, as a real peer would.
        if (sent % 16 === 0) await new Promise((resolve) => setImmediate(resolve));
        continue;
      }
      await Promise.race([new Promise((resolve) => this.socket.once('drain', resolve)), this.gone]);
    }
    return sent;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy();
    await this.gone;
  }

  private wake(): void {
    const { waiting } = this;
    this.waiting = [];
    for (const resolve of waiting) resolve();
  }
}
