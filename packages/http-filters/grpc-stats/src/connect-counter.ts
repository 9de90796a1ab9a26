import { FRAME_HEADER_BYTES, FrameFlag } from '@dragoman/grpc-frames';

/** The longest end-of-stream envelope that is read for its verdict, bytes; a longer one counts as a failure. */
const MAX_END_BYTES = 64 * 1024;
const EMPTY = Buffer.alloc(0);

/**
 * Counts the envelopes of a Connect stream's answer as their bytes pass. The last one, with the end-of-stream flag, is no
 * message: it says in JSON how the call ended. Nothing is counted behind it.
 */
export class ConnectAnswerCounter {
  count = 0;
  private readonly header: Buffer = Buffer.alloc(FRAME_HEADER_BYTES);
  private headerBytes = 0;
  private left = 0;
  /** The header in hand is that of the last envelope, whose bytes are kept in {@link end}. */
  private atEnd = false;
  private end: Buffer = EMPTY;
  private done = false;
  private succeeded = false;

  /** The last envelope has come, and names no error. */
  get success(): boolean {
    return this.succeeded;
  }

  /** Takes the next bytes; says how many messages begin in them. */
  push(chunk: Buffer): number {
    const before = this.count;
    for (let at = 0; at < chunk.length && !this.done; ) {
      if (this.left > 0) {
        const taken = Math.min(this.left, chunk.length - at);
        if (this.atEnd) chunk.copy(this.end, this.end.length - this.left, at, at + taken);
        this.left -= taken;
        at += taken;
      } else {
        this.header[this.headerBytes++] = chunk[at++] as number;
        if (this.headerBytes === 1) this.begin();
        if (this.headerBytes < FRAME_HEADER_BYTES) continue;
        this.headerBytes = 0;
        this.left = this.header.readUInt32BE(1);
        if (this.atEnd) this.reserve();
      }
      if (this.atEnd && this.headerBytes === 0 && this.left === 0) this.finish();
    }
    return this.count - before;
  }

  private begin(): void {
    this.atEnd = ((this.header[0] as number) & FrameFlag.CONNECT_END_STREAM) !== 0;
    if (!this.atEnd) this.count++;
  }

  private reserve(): void {
    if (this.left > MAX_END_BYTES) this.done = true;
    else this.end = Buffer.allocUnsafe(this.left);
  }

  private finish(): void {
    this.done = true;
    this.succeeded = saysSuccess(this.end.toString('utf8'));
    this.end = EMPTY;
  }
}

/** As Envoy reads it: an object, and no code in its error. */
function saysSuccess(json: string): boolean {
  try {
    const message: unknown = JSON.parse(json);
    if (!isObject(message)) return false;
    const { error } = message;
    return !isObject(error) || !Object.hasOwn(error, 'code');
  } catch {
    return false;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
