import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  alpnExtension,
  encodeClientHello,
  encodeClientHelloBody,
  extensionNumbers,
  HelloReader,
  parseClientHello,
  serverNameExtension,
} from '../src/index.ts';

const bytes = (maxLength: number) => fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));
const extensions = [serverNameExtension('fuzz.example'), alpnExtension('h2')];
const whole = encodeClientHello({ extensions });
/** A ClientHello with a few bytes changed, or cut. */
const damaged = fc
  .tuple(
    fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 6 }),
    fc.integer({ min: 1, max: whole.length }),
  )
  .map(([changes, length]) => {
    const copy = Buffer.from(whole.subarray(0, length));
    for (const [at, value] of changes) if (at < length) copy[at] = value;
    return copy;
  });

describe('hostile bytes', () => {
  it('never keep the reader from going on, and it never reads beyond what there is', () => {
    fc.assert(
      fc.property(fc.oneof(bytes(400), damaged), (input) => {
        const reader = new HelloReader();
        for (let length = 0; length <= input.length; length++) {
          const progress = reader.read(input.subarray(0, length));
          expect(reader.consumed).toBeLessThanOrEqual(length);
          if (progress !== 'more') return;
        }
      }),
      { numRuns: 300 },
    );
  });

  it('mean the same in any pieces', () => {
    const readIn = (input: Buffer, step: number) => {
      const reader = new HelloReader();
      for (let end = step; ; end += step) {
        const progress = reader.read(input.subarray(0, end));
        if (progress !== 'more' || end >= input.length) return [progress, reader.message.toString('hex')];
      }
    };
    fc.assert(
      fc.property(fc.oneof(bytes(400), damaged), fc.integer({ min: 1, max: 40 }), (input, step) => {
        expect(readIn(input, step)).toEqual(readIn(input, Math.max(input.length, 1)));
      }),
      { numRuns: 300 },
    );
  });

  it('never make the parser throw', () => {
    const body = encodeClientHelloBody({ extensions });
    fc.assert(
      fc.property(
        fc.oneof(
          bytes(200),
          fc.nat(body.length).map((length) => body.subarray(0, length)),
        ),
        (input) => {
          const hello = parseClientHello(input);
          if (typeof hello === 'string') return;
          expect(hello.serverName.length).toBeLessThanOrEqual(255);
          for (const { type } of hello.extensions) extensionNumbers(hello, type);
        },
      ),
      { numRuns: 1000 },
    );
  });
});
