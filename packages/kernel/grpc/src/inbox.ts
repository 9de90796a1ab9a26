import type { GrpcCallStatus } from '@dragoman/core';
import { FrameFlag, type GrpcFrame, GrpcFrameReader, GrpcStatus } from '@dragoman/grpc-frames';
import { gunzip } from './decompress.ts';
import { localStatus } from './status.ts';

export interface InboxOwner {
  /** A message, unpacked: bytes that are the receiver's own. */
  onPayload(payload: Buffer): void;
  /** Nothing more can be read. */
  onInboxFailure(status: GrpcCallStatus): void;
}

/** `grpc-encoding` of what comes. */
export type Encoding = 'identity' | 'gzip' | 'unknown';

export function encodingOf(value: string | undefined): Encoding {
  if (value === undefined || value === 'identity') return 'identity';
  return value === 'gzip' ? 'gzip' : 'unknown';
}

/** Bytes of an answer in, its messages out; holds back what comes while it is paused. */
export class Inbox {
  encoding: Encoding = 'identity';
  paused = false;
  /** Messages are being handed over further up the stack. */
  draining = false;
  private readonly maxBytes: number;
  private owner: InboxOwner | undefined;
  private reader: GrpcFrameReader;
  /** Copies of chunks that came while one was handed over. */
  private later: Buffer[] | undefined = undefined;
  /** One of them is what the reader holds. */
  private laterRead = false;

  /** @param maxBytes of a message, packed or not */
  constructor(maxBytes: number, owner: InboxOwner) {
    this.maxBytes = maxBytes;
    this.owner = owner;
    this.reader = new GrpcFrameReader({ maxMessageBytes: maxBytes });
  }

  /** @param chunk borrowed: nothing of it is kept, and no payload is a view of it */
  take(chunk: Buffer): void {
    if (this.paused || this.draining) {
      this.later ??= [];
      this.later.push(Buffer.from(chunk));
      return;
    }
    this.reader.push(chunk);
    this.drain(chunk);
  }

  /** Hands over what was held back, until paused again. */
  resume(): void {
    this.paused = false;
    if (!this.draining) this.drain(undefined);
  }

  /** Nothing is handed over any more. */
  close(): void {
    this.owner = undefined;
    this.reader = CLOSED;
    this.later = undefined;
  }

  /** @param chunk what the reader was given last, when that is not its own to keep */
  private drain(chunk: Buffer | undefined): void {
    this.draining = true;
    this.laterRead = false;
    while (this.owner !== undefined && !this.paused) {
      const frame = this.reader.next();
      if (frame !== undefined) this.handOver(frame, chunk);
      else if (this.reader.failure !== undefined) this.fail(this.reader.failure);
      else if (!this.readLater()) break;
    }
    this.draining = false;
    if (chunk !== undefined && this.paused && this.owner !== undefined) this.keepRest(chunk);
  }

  /** Takes the next of the chunks that wait; the reader is through with those before it. */
  private readLater(): boolean {
    const next = this.later?.shift();
    if (next === undefined) return false;
    this.laterRead = true;
    this.reader.push(next);
    return true;
  }

  private handOver({ flags, message }: GrpcFrame, chunk: Buffer | undefined): void {
    const { owner } = this;
    if (owner === undefined) return;
    // An empty message needs no unpacking, whatever its flag says, as in Envoy.
    if ((flags & FrameFlag.COMPRESSED) === 0 || message.length === 0) {
      owner.onPayload(chunk?.buffer === message.buffer ? Buffer.from(message) : message);
      return;
    }
    if (this.encoding !== 'gzip') {
      const what =
        this.encoding === 'identity' ? 'without grpc-encoding' : 'in an encoding that was not offered';
      owner.onInboxFailure(
        localStatus(GrpcStatus.INTERNAL, `a compressed message ${what}`, 'grpc_unknown_encoding'),
      );
      return;
    }
    const payload = gunzip(message, this.maxBytes);
    if (payload === 'too-large')
      this.failTooLarge(`a message of ${message.length} bytes unpacks to too many`);
    else if (payload === 'broken')
      owner.onInboxFailure(
        localStatus(GrpcStatus.INTERNAL, 'a message is no gzip', 'grpc_decompression_error'),
      );
    else owner.onPayload(payload);
  }

  /** Paused before the end of a chunk: behind a whole message the reader holds the rest of it, and nothing else. */
  private keepRest(chunk: Buffer): void {
    const { pendingBytes } = this.reader;
    if (pendingBytes === 0 || this.laterRead) return;
    const rest = chunk.subarray(chunk.length - pendingBytes);
    this.reader = new GrpcFrameReader({ maxMessageBytes: this.maxBytes });
    this.reader.push(Buffer.from(rest));
  }

  private fail(reason: string): void {
    // The reader knows two failures: a length, and flags.
    if (reason.startsWith('a message of ')) this.failTooLarge(reason);
    else this.owner?.onInboxFailure(localStatus(GrpcStatus.INTERNAL, reason, 'grpc_frame_error'));
  }

  private failTooLarge(reason: string): void {
    this.owner?.onInboxFailure(localStatus(GrpcStatus.RESOURCE_EXHAUSTED, reason, 'grpc_message_too_large'));
  }
}

const CLOSED = new GrpcFrameReader({ maxMessageBytes: 0 });
