import { ByteStore } from './byte-store.ts';
import type { Call } from './call.ts';
import { encodeRawMessage, type RawMessage } from './http-body.ts';
import { JsonArraySplitter } from './json-array.ts';
import { Refusal } from './refusal.ts';
import type { MessageMaker } from './request-message.ts';

/** Turns the body of a request into gRPC frames, as it comes. */
export interface RequestBody {
  /** Bytes that are kept. */
  readonly pendingBytes: number;
  /** The frames that are whole with this piece. */
  push(chunk: Buffer): Buffer | Refusal;
  /** The rest, once the body is at its end. */
  finish(): Buffer | Refusal;
}

const EMPTY = Buffer.alloc(0);
/** gRPC servers refuse messages above 4 MiB by default: a stream of bytes goes in such pieces (Envoy: MaxStreamedPieceSize). */
const MAX_PIECE_BYTES = 1024 * 1024;

type FirstMessage = Pick<RawMessage, 'others' | 'contentType' | 'extension'>;

/** @param limit bytes that may be kept */
export function jsonBody(call: Call, maker: MessageMaker, limit: number): RequestBody {
  if (call.clientStreaming) return new JsonStream(maker, limit);
  return new WholeBody(limit, (json) => maker.frame(json.length === 0 ? undefined : json));
}

/** @param first what is not data, for the first message @param limit bytes that may be kept of a body that is one message */
export function rawBody(call: Call, first: FirstMessage, limit: number): RequestBody {
  if (call.clientStreaming) return new RawStream(call, first);
  return new WholeBody(limit, (data) => encodeRawMessage({ ...first, path: call.body, data }));
}

/** The whole body is one message. */
class WholeBody implements RequestBody {
  private readonly limit: number;
  private readonly encode: (body: Buffer) => Buffer | Refusal;
  private readonly store = new ByteStore();

  constructor(limit: number, encode: (body: Buffer) => Buffer | Refusal) {
    this.limit = limit;
    this.encode = encode;
  }

  get pendingBytes(): number {
    return this.store.length;
  }

  push(chunk: Buffer): Buffer | Refusal {
    if (this.store.length + chunk.length > this.limit) return Refusal.requestTooLarge();
    this.store.append(chunk);
    return EMPTY;
  }

  finish(): Buffer | Refusal {
    return this.encode(this.store.take());
  }
}

/** Each element of an array is a message. */
class JsonStream implements RequestBody {
  private readonly maker: MessageMaker;
  private readonly splitter: JsonArraySplitter;

  constructor(maker: MessageMaker, limit: number) {
    this.maker = maker;
    this.splitter = new JsonArraySplitter(limit);
  }

  get pendingBytes(): number {
    return this.splitter.pendingBytes;
  }

  push(chunk: Buffer): Buffer | Refusal {
    const frames: Buffer[] = [];
    for (const element of this.splitter.push(chunk)) {
      const frame = this.maker.frame(element);
      if (frame instanceof Refusal) return frame;
      frames.push(frame);
    }
    return this.splitter.refusal ?? joined(frames);
  }

  finish(): Buffer | Refusal {
    this.splitter.finish();
    return this.splitter.refusal ?? EMPTY;
  }
}

/** Each piece is a message; the first one says what they are. */
class RawStream implements RequestBody {
  readonly pendingBytes = 0;
  private readonly call: Call;
  private next: FirstMessage;
  private begun = false;

  constructor(call: Call, first: FirstMessage) {
    this.call = call;
    this.next = first;
  }

  push(chunk: Buffer): Buffer {
    const frames: Buffer[] = [];
    for (let at = 0; at < chunk.length; at += MAX_PIECE_BYTES)
      frames.push(this.message(chunk.subarray(at, at + MAX_PIECE_BYTES)));
    return joined(frames);
  }

  finish(): Buffer {
    return this.begun ? EMPTY : this.message(EMPTY);
  }

  private message(data: Buffer): Buffer {
    const frame = encodeRawMessage({ ...this.next, path: this.call.body, data });
    this.begun = true;
    // As in Envoy, every message tells of the parameters.
    this.next = { others: EMPTY, contentType: '', extension: this.next.extension };
    return frame;
  }
}

function joined(frames: readonly Buffer[]): Buffer {
  return frames.length === 1 ? (frames[0] as Buffer) : Buffer.concat(frames);
}
