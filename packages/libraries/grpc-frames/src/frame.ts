/** Bits of a frame's first byte. */
export const FrameFlag = {
  /** The message is compressed as `grpc-encoding` says. */
  COMPRESSED: 0x01,
  /** Connect: the last envelope of a streaming answer, which holds JSON. */
  CONNECT_END_STREAM: 0x02,
  /** gRPC-Web: the frame holds the trailers. */
  GRPC_WEB_TRAILERS: 0x80,
} as const;

/** Bytes in front of each message: one of flags, four of length (big-endian). */
export const FRAME_HEADER_BYTES = 5;

const MAX_LENGTH = 0xffff_ffff;

/** One length-prefixed message. */
export interface GrpcFrame {
  /** Bits of {@link FrameFlag}. */
  readonly flags: number;
  /** As sent: still compressed when the flag says so. May be a view of the chunk it came in. */
  readonly message: Buffer;
}

/**
 * The five bytes in front of a message.
 * @param length bytes of the message, below 2³²
 * @param flags default 0
 */
export function encodeGrpcFrameHeader(length: number, flags = 0): Buffer {
  const header = Buffer.allocUnsafe(FRAME_HEADER_BYTES);
  writeHeader(header, length, flags);
  return header;
}

/**
 * A message with its five bytes in front, in one buffer.
 * @param flags default 0
 */
export function encodeGrpcFrame(message: Uint8Array, flags = 0): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + message.length);
  writeHeader(frame, message.length, flags);
  frame.set(message, FRAME_HEADER_BYTES);
  return frame;
}

function writeHeader(target: Buffer, length: number, flags: number): void {
  if (!(length >= 0 && length <= MAX_LENGTH))
    throw new RangeError(`a message of ${length} bytes: expected 0 to ${MAX_LENGTH}`);
  target[0] = flags;
  target.writeUInt32BE(length, 1);
}
