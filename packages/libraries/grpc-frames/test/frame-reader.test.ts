import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  encodeGrpcFrame,
  encodeGrpcFrameHeader,
  FrameFlag,
  type GrpcFrame,
  GrpcFrameCounter,
  GrpcFrameReader,
} from '../src/index.ts';

const LIMIT = 4096;

function drain(reader: GrpcFrameReader): GrpcFrame[] {
  const frames: GrpcFrame[] = [];
  for (let frame = reader.next(); frame !== undefined; frame = reader.next()) frames.push(frame);
  return frames;
}

function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  let at = 0;
  for (const size of sizes) {
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  pieces.push(bytes.subarray(at));
  return pieces;
}

describe('GrpcFrameReader', () => {
  it('gives a message within one chunk as a view of it', () => {
    const chunk = Buffer.concat([
      encodeGrpcFrame(Buffer.from('one')),
      encodeGrpcFrame(Buffer.from('two'), 1),
    ]);
    const reader = new GrpcFrameReader({ maxMessageBytes: LIMIT });
    reader.push(chunk);
    expect(reader.pendingBytes).toBe(16);
    const [one, two] = drain(reader);
    expect([one?.flags, one?.message.toString(), two?.flags, two?.message.toString()]).toEqual([
      0,
      'one',
      1,
      'two',
    ]);
    expect(one?.message.buffer).toBe(chunk.buffer);
    expect(reader.pendingBytes).toBe(0);
  });

  it('says what it holds of a message in the making', () => {
    const reader = new GrpcFrameReader({ maxMessageBytes: LIMIT });
    reader.push(encodeGrpcFrameHeader(10).subarray(0, 3));
    expect([reader.next(), reader.pendingBytes]).toEqual([undefined, 3]);
    reader.push(Buffer.concat([encodeGrpcFrameHeader(10).subarray(3), Buffer.from('12345')]));
    expect([reader.next(), reader.pendingBytes]).toEqual([undefined, 10]);
    reader.push(Buffer.from('67890'));
    expect(reader.next()?.message.toString()).toBe('1234567890');
    expect(reader.pendingBytes).toBe(0);
  });

  it.each([
    [
      'a message over the limit',
      encodeGrpcFrameHeader(LIMIT + 1),
      `a message of ${LIMIT + 1} bytes: the limit is ${LIMIT}`,
    ],
    [
      'the longest length there is',
      Buffer.from('00ffffffff', 'hex'),
      'a message of 4294967295 bytes: the limit is 4096',
    ],
    ['an unknown flag', Buffer.from([2]), 'unknown flags 0x2'],
    ['trailers of gRPC-Web', Buffer.from('8000000000', 'hex'), 'unknown flags 0x80'],
  ])('fails at %s, for good', (_, bytes, failure) => {
    const reader = new GrpcFrameReader({ maxMessageBytes: LIMIT });
    reader.push(Buffer.concat([encodeGrpcFrame(Buffer.from('before')), bytes]));
    expect(drain(reader).map(({ message }) => message.toString())).toEqual(['before']);
    expect(reader.failure).toBe(failure);
    reader.push(encodeGrpcFrame(Buffer.from('after')));
    expect([reader.next(), reader.pendingBytes, reader.failure]).toEqual([undefined, 0, failure]);
  });

  it('takes a message of just the limit, none, and the flags it is told to', () => {
    const reader = new GrpcFrameReader({ maxMessageBytes: 3, allowedFlags: FrameFlag.GRPC_WEB_TRAILERS });
    reader.push(Buffer.concat([encodeGrpcFrame(Buffer.from('abc')), encodeGrpcFrame(Buffer.alloc(0), 0x80)]));
    expect(drain(reader).map(({ flags, message }) => [flags, message.length])).toEqual([
      [0, 3],
      [0x80, 0],
    ]);
    expect(reader.failure).toBeUndefined();
    const strict = new GrpcFrameReader({ maxMessageBytes: 3, allowedFlags: 0 });
    strict.push(encodeGrpcFrame(Buffer.from('abc'), FrameFlag.COMPRESSED));
    expect([strict.next(), strict.failure]).toEqual([undefined, 'unknown flags 0x1']);
  });

  it('reads the same messages whatever the pieces', () => {
    const message = fc.record({ flags: fc.constantFrom(0, 1), bytes: fc.uint8Array({ maxLength: 3000 }) });
    const sizes = fc.array(fc.oneof(fc.integer({ min: 0, max: 7 }), fc.integer({ min: 0, max: 5000 })));
    fc.assert(
      fc.property(fc.array(message, { maxLength: 6 }), sizes, fc.boolean(), (messages, cuts, late) => {
        const wire = Buffer.concat(messages.map(({ flags, bytes }) => encodeGrpcFrame(bytes, flags)));
        const reader = new GrpcFrameReader({ maxMessageBytes: LIMIT });
        const counter = new GrpcFrameCounter();
        const frames: GrpcFrame[] = [];
        for (const piece of cut(wire, cuts)) {
          reader.push(piece);
          counter.push(piece);
          if (!late) frames.push(...drain(reader));
        }
        frames.push(...drain(reader));
        expect(frames).toEqual(messages.map(({ flags, bytes }) => ({ flags, message: Buffer.from(bytes) })));
        expect([reader.pendingBytes, reader.failure, counter.count]).toEqual([0, undefined, messages.length]);
      }),
    );
  });

  it('takes any bytes without throwing, and holds no more than the limit', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 60 }), (pieces) => {
        const reader = new GrpcFrameReader({ maxMessageBytes: 100, allowedFlags: 0xff });
        for (const piece of pieces) {
          reader.push(Buffer.from(piece));
          for (const { message } of drain(reader)) expect(message.length).toBeLessThanOrEqual(100);
          expect(reader.pendingBytes).toBeLessThanOrEqual(105);
        }
      }),
    );
  });

  it('reserves nothing for a length alone', () => {
    const reader = new GrpcFrameReader({ maxMessageBytes: 1 << 30 });
    const before = process.memoryUsage().arrayBuffers;
    reader.push(encodeGrpcFrameHeader(1 << 30));
    reader.push(Buffer.from('x'));
    expect(reader.next()).toBeUndefined();
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 20);
  });
});

describe('GrpcFrameCounter', () => {
  it('counts a message with its first byte', () => {
    const counter = new GrpcFrameCounter();
    expect(counter.push(Buffer.from([0]))).toBe(1);
    expect(counter.push(Buffer.from([0, 0, 0, 2, 1]))).toBe(0);
    expect(
      counter.push(Buffer.concat([Buffer.from([1]), encodeGrpcFrame(Buffer.alloc(0)), Buffer.from([0x80])])),
    ).toBe(2);
    expect(counter.count).toBe(3);
  });

  it('takes the longest length there is', () => {
    const counter = new GrpcFrameCounter();
    counter.push(Buffer.from('00ffffffff', 'hex'));
    counter.push(Buffer.alloc(1000));
    expect(counter.count).toBe(1);
  });
});

describe('encodeGrpcFrame', () => {
  it('writes flags and length in front', () => {
    expect(encodeGrpcFrame(Buffer.from('hi'), 1).toString('hex')).toBe('01000000026869');
    expect(encodeGrpcFrameHeader(0x01020304, 0x80).toString('hex')).toBe('8001020304');
  });

  it.each([-1, 2 ** 32, Number.NaN])('refuses a length of %d', (length) => {
    expect(() => encodeGrpcFrameHeader(length)).toThrow(RangeError);
  });
});
