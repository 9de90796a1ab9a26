/** RFC 9113 section 6. */
export const FrameType = {
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

/** The same bit means `ack` on SETTINGS and PING, and `endStream` elsewhere. */
export const FrameFlag = {
  none: 0,
  ack: 0x1,
  endStream: 0x1,
  endHeaders: 0x4,
  padded: 0x8,
  priority: 0x20,
} as const;

/** RFC 9113 section 7. */
export const Http2Code = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  settingsTimeout: 4,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  connectError: 10,
  enhanceYourCalm: 11,
  inadequateSecurity: 12,
  http11Required: 13,
} as const;

/** RFC 9113 section 6.5.2; the last one is RFC 8441's. */
export const Http2Setting = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
  enableConnectProtocol: 8,
} as const;

/** What a client sends before its first frame. */
export const HTTP2_PREFACE: Buffer = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

/** One frame as it was read. */
export interface Http2Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

const HEAD_BYTES = 9;
/** RFC 9113 section 6.5.2: what a peer takes that has not said more. */
const MAX_FRAME_BYTES = 16_384;
const EMPTY = Buffer.alloc(0);

/**
 * A frame with any type, flags and payload.
 * @param length what its head says, where that is not the payload's length
 */
export function http2Frame(
  type: number,
  flags: number,
  streamId: number,
  payload: Buffer | string = EMPTY,
  length?: number,
): Buffer {
  const body = typeof payload === 'string' ? Buffer.from(payload, 'latin1') : payload;
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + body.length);
  bytes.writeUIntBE(length ?? body.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(streamId >>> 0, 5);
  body.copy(bytes, HEAD_BYTES);
  return bytes;
}

/** What a builder of {@link frames} can be told besides. */
export interface FrameOptions {
  readonly endStream?: boolean;
  /** Of HEADERS, PUSH_PROMISE and CONTINUATION; default true. */
  readonly endHeaders?: boolean;
  /** Bytes of padding, 0 … 255; the PADDED flag is set where it is given. */
  readonly padding?: number;
  /** Of HEADERS: a priority in front of the field block. */
  readonly priority?: Priority;
}

export interface Priority {
  readonly dependsOn: number;
  /** 1 … 256. */
  readonly weight: number;
  readonly exclusive?: boolean;
}

/** Well-formed frames of every type of RFC 9113. */
export const frames = {
  data(streamId: number, payload: Buffer | string, options: FrameOptions = {}): Buffer {
    return build(FrameType.data, streamId, bytesOf(payload), options, false);
  },
  /** @param block a field block, or its first fragment: see `hpack` */
  headers(streamId: number, block: Buffer, options: FrameOptions = {}): Buffer {
    return build(FrameType.headers, streamId, block, options, options.endHeaders ?? true);
  },
  /** HEADERS and as many CONTINUATIONs as a block takes. @param fragmentBytes of each of them; default 16,384 */
  block(
    streamId: number,
    block: Buffer,
    options: FrameOptions = {},
    fragmentBytes = MAX_FRAME_BYTES,
  ): Buffer {
    const parts: Buffer[] = [];
    for (let at = 0; at === 0 || at < block.length; at += fragmentBytes) {
      const fragment = block.subarray(at, at + fragmentBytes);
      const endHeaders = at + fragmentBytes >= block.length;
      if (at === 0) parts.push(frames.headers(streamId, fragment, { ...options, endHeaders }));
      else parts.push(frames.continuation(streamId, fragment, endHeaders));
    }
    return Buffer.concat(parts);
  },
  continuation(streamId: number, fragment: Buffer, endHeaders = true): Buffer {
    return http2Frame(FrameType.continuation, endHeaders ? FrameFlag.endHeaders : 0, streamId, fragment);
  },
  priority(streamId: number, priority: Priority): Buffer {
    return http2Frame(FrameType.priority, 0, streamId, priorityBytes(priority));
  },
  rstStream(streamId: number, code: number = Http2Code.cancel): Buffer {
    return http2Frame(FrameType.rstStream, 0, streamId, uint32(code));
  },
  /** @param values by identifier, or pairs where an identifier stands twice */
  settings(values: Readonly<Record<number, number>> | readonly (readonly [number, number])[] = []): Buffer {
    const pairs: readonly (readonly [number, number])[] = Array.isArray(values)
      ? values
      : Object.entries(values).map(([id, value]) => [Number(id), value]);
    const payload = Buffer.alloc(pairs.length * 6);
    pairs.forEach(([id, value], i) => {
      payload.writeUInt16BE(id, i * 6);
      payload.writeUInt32BE(value >>> 0, i * 6 + 2);
    });
    return http2Frame(FrameType.settings, 0, 0, payload);
  },
  settingsAck(): Buffer {
    return http2Frame(FrameType.settings, FrameFlag.ack, 0);
  },
  pushPromise(streamId: number, promised: number, block: Buffer, options: FrameOptions = {}): Buffer {
    const payload = Buffer.concat([uint32(promised), block]);
    return build(FrameType.pushPromise, streamId, payload, options, options.endHeaders ?? true);
  },
  ping(payload: Buffer | string = '12345678', ack = false): Buffer {
    return http2Frame(FrameType.ping, ack ? FrameFlag.ack : 0, 0, payload);
  },
  goaway(lastStreamId: number, code: number = Http2Code.noError, debug: Buffer | string = EMPTY): Buffer {
    return http2Frame(
      FrameType.goaway,
      0,
      0,
      Buffer.concat([uint32(lastStreamId), uint32(code), bytesOf(debug)]),
    );
  },
  windowUpdate(streamId: number, increment: number): Buffer {
    return http2Frame(FrameType.windowUpdate, 0, streamId, uint32(increment));
  },
} as const;

/** Cuts bytes into frames, however they come. */
export class FrameReader {
  private rest: Buffer = EMPTY;

  push(bytes: Buffer): Http2Frame[] {
    this.rest = this.rest.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.rest, bytes]);
    const found: Http2Frame[] = [];
    let at = 0;
    while (this.rest.length - at >= HEAD_BYTES) {
      const length = this.rest.readUIntBE(at, 3);
      const end = at + HEAD_BYTES + length;
      if (end > this.rest.length) break;
      found.push({
        type: this.rest[at + 3] as number,
        flags: this.rest[at + 4] as number,
        streamId: this.rest.readUInt32BE(at + 5) & 0x7fff_ffff,
        payload: this.rest.subarray(at + HEAD_BYTES, end),
      });
      at = end;
    }
    this.rest = this.rest.subarray(at);
    return found;
  }

  /** Bytes of a frame that is not complete. */
  get pending(): number {
    return this.rest.length;
  }
}

/** The payload of a frame that may be padded or carry a priority, without either. */
export function unpadded({ type, flags, payload }: Http2Frame): Buffer {
  let from = 0;
  let to = payload.length;
  if ((flags & FrameFlag.padded) !== 0 && type !== FrameType.continuation) {
    to -= payload[0] as number;
    from = 1;
  }
  if (type === FrameType.headers && (flags & FrameFlag.priority) !== 0) from += 5;
  return payload.subarray(from, Math.max(from, to));
}

function build(
  type: number,
  streamId: number,
  body: Buffer,
  { endStream = false, padding, priority }: FrameOptions,
  endHeaders: boolean,
): Buffer {
  let flags = (endStream ? FrameFlag.endStream : 0) | (endHeaders ? FrameFlag.endHeaders : 0);
  const parts: Buffer[] = [];
  if (padding !== undefined) {
    flags |= FrameFlag.padded;
    parts.push(Buffer.from([padding]));
  }
  if (priority !== undefined) {
    flags |= FrameFlag.priority;
    parts.push(priorityBytes(priority));
  }
  parts.push(body, Buffer.alloc(padding ?? 0));
  return http2Frame(type, flags, streamId, parts.length === 2 ? body : Buffer.concat(parts));
}

function priorityBytes({ dependsOn, weight, exclusive = false }: Priority): Buffer {
  return Buffer.concat([uint32(dependsOn | (exclusive ? 0x8000_0000 : 0)), Buffer.from([weight - 1])]);
}

function bytesOf(payload: Buffer | string): Buffer {
  return typeof payload === 'string' ? Buffer.from(payload, 'latin1') : payload;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}
