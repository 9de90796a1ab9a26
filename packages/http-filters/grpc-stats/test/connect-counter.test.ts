import { encodeGrpcFrame, encodeGrpcFrameHeader } from '@dragoman/grpc-frames';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConnectAnswerCounter } from '../src/connect-counter.ts';

const END = 2;
const message = encodeGrpcFrame(Buffer.from('message'));
const end = (json: string, flags = END) => encodeGrpcFrame(Buffer.from(json), flags);

describe('ConnectAnswerCounter', () => {
  it.each([
    ['{}', true],
    ['{"metadata":{"a":["b"]}}', true],
    ['{"error":null}', true],
    ['{"error":{"message":"no code"}}', true],
    ['{"error":{"code":"internal"}}', false],
    ['{"error":{"code":null}}', false],
    ['', false],
    ['null', false],
    ['[]', false],
    ['not JSON', false],
    ['['.repeat(60_000), false],
  ])('reads the verdict of %.40s: %s', (json, success) => {
    const counter = new ConnectAnswerCounter();
    expect(counter.push(Buffer.concat([message, message, end(json)]))).toBe(2);
    expect(counter.success).toBe(success);
  });

  it('is no success before the end, and counts nothing behind it', () => {
    const counter = new ConnectAnswerCounter();
    counter.push(message);
    expect(counter.success).toBe(false);
    expect(counter.push(Buffer.concat([end('{}'), message, end('{"error":{"code":"x"}}')]))).toBe(0);
    expect([counter.count, counter.success]).toEqual([1, true]);
  });

  it('does not read an end that is too long', () => {
    const counter = new ConnectAnswerCounter();
    counter.push(encodeGrpcFrameHeader(0xffff_ffff, END));
    counter.push(Buffer.alloc(1000, '{'));
    expect(counter.success).toBe(false);
    const longest = new ConnectAnswerCounter();
    longest.push(end(`{}${' '.repeat(64 * 1024 - 2)}`));
    expect(longest.success).toBe(true);
  });

  it('finds the same whatever the pieces, and takes any bytes', () => {
    const whole = Buffer.concat([message, encodeGrpcFrame(Buffer.alloc(0)), message, end('{"metadata":{}}')]);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 9 })), (sizes) => {
        const counter = new ConnectAnswerCounter();
        let at = 0;
        for (const size of sizes) counter.push(whole.subarray(at, (at += size)));
        counter.push(whole.subarray(at));
        expect([counter.count, counter.success]).toEqual([3, true]);
      }),
    );
    fc.assert(
      fc.property(fc.array(fc.uint8Array()), (pieces) => {
        const counter = new ConnectAnswerCounter();
        for (const piece of pieces) counter.push(Buffer.from(piece));
        expect(counter.count).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});
