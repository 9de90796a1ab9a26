import { latin1Slice } from '@dragoman/core';
import type { HelloFailure } from './failures.ts';

/** `more`: what there is may be the beginning of a ClientHello. */
export type HelloProgress = 'more' | 'message' | HelloFailure;

const RECORD_HEADER = 5;
const MESSAGE_HEADER = 4;
const MAX_PLAINTEXT = 16_384;
/** What encryption may add to a record (BoringSSL's SSL3_RT_MAX_ENCRYPTED_OVERHEAD). */
const MAX_OVERHEAD = 320;
/** BoringSSL's limit for a client's messages. */
const MAX_MESSAGE = 16_384;
/** Records without a byte in a row (BoringSSL's limit). */
const MAX_EMPTY_RECORDS = 32;
const HANDSHAKE = 22;
const CLIENT_HELLO = 1;

/** What a plaintext client may begin with, in the length of a record header. */
const PLAINTEXT: ReadonlyMap<string, HelloFailure> = new Map([
  ['GET /', 'HTTP_REQUEST'],
  ['POST ', 'HTTP_REQUEST'],
  ['HEAD ', 'HTTP_REQUEST'],
  ['CONNE', 'HTTPS_PROXY_REQUEST'],
]);

const EMPTY = Buffer.alloc(0);

/**
 * Gathers the first handshake message of a client from TLS records, of which it may take any number. Nothing is read twice, however few
 * bytes come at a time.
 */
export class HelloReader {
  /** Bytes of the records that were read, a header that was no good included. */
  consumed = 0;
  /** The message without its header, once there is one. Borrowed from the bytes it was read from, or from several of them put together. */
  message: Buffer = EMPTY;
  private handshake: Buffer = EMPTY;
  private emptyRecords = 0;

  /** @param bytes everything that has arrived; begins with what was given before */
  read(bytes: Buffer): HelloProgress {
    for (;;) {
      if (bytes.length - this.consumed < RECORD_HEADER) return 'more';
      const length = bytes.readUInt16BE(this.consumed + 3);
      const failure = this.checkHeader(bytes, length);
      if (failure !== undefined) {
        this.consumed += RECORD_HEADER;
        return failure;
      }
      const begin = this.consumed + RECORD_HEADER;
      if (bytes.length < begin + length) return 'more';
      const type = bytes[this.consumed];
      this.consumed = begin + length;
      const progress = this.addRecord(type, bytes.subarray(begin, this.consumed));
      if (progress !== 'more') return progress;
    }
  }

  private checkHeader(bytes: Buffer, length: number): HelloFailure | undefined {
    if (this.consumed === 0) {
      const first = latin1Slice(bytes, 0, RECORD_HEADER);
      const plaintext = PLAINTEXT.get(first) ?? (/^(GET|PUT) /.test(first) ? 'HTTP_REQUEST' : undefined);
      if (plaintext !== undefined) return plaintext;
    }
    if (bytes[this.consumed + 1] !== 3) return 'WRONG_VERSION_NUMBER';
    return length > MAX_PLAINTEXT + MAX_OVERHEAD ? 'ENCRYPTED_LENGTH_TOO_LONG' : undefined;
  }

  private addRecord(type: number | undefined, fragment: Buffer): HelloProgress {
    if (fragment.length > MAX_PLAINTEXT) return 'DATA_LENGTH_TOO_LONG';
    if (type !== HANDSHAKE) return 'UNEXPECTED_RECORD';
    this.emptyRecords = fragment.length === 0 ? this.emptyRecords + 1 : 0;
    if (this.emptyRecords > MAX_EMPTY_RECORDS) return 'UNEXPECTED_RECORD';
    // Nearly always one record has it all: nothing is copied. Otherwise at most a message and a record are kept.
    this.handshake = this.handshake.length === 0 ? fragment : Buffer.concat([this.handshake, fragment]);
    const { handshake } = this;
    if (handshake.length < MESSAGE_HEADER) return this.keep();
    const length = handshake.readUIntBE(1, 3);
    if (length > MAX_MESSAGE) return 'EXCESSIVE_MESSAGE_SIZE';
    if (handshake.length < MESSAGE_HEADER + length) return this.keep();
    if (handshake[0] !== CLIENT_HELLO) return 'UNEXPECTED_MESSAGE';
    this.message = handshake.subarray(MESSAGE_HEADER, MESSAGE_HEADER + length);
    return 'message';
  }

  /** The bytes that it was cut from are not ours beyond this call. */
  private keep(): HelloProgress {
    this.handshake = Buffer.from(this.handshake);
    return 'more';
  }
}
