import { create, TlsInspectorSchema } from '@dragoman/api';
import {
  alpnExtension,
  encodeClientHello,
  serverNameExtension,
  uint16s,
  vector16,
  vector8,
} from '@dragoman/client-hello';
import { peekThrough, testContext } from '@dragoman/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tlsInspector } from '../src/index.ts';

const bytes = (maxLength: number) => fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));
const whole = encodeClientHello({
  extensions: [
    serverNameExtension('fuzz.example'),
    alpnExtension('h2'),
    [10, vector16(uint16s([29, 23]))],
    [11, vector8(Buffer.from([0]))],
    [13, vector16(uint16s([0x0403]))],
    [43, vector8(uint16s([0x0304]))],
  ],
});
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

const create_ = () =>
  tlsInspector.create(
    create(TlsInspectorSchema, { enableJa3Fingerprinting: true, enableJa4Fingerprinting: true }) as never,
    testContext(),
  )();

describe('hostile bytes', () => {
  it('never throw, and mean the same in any pieces', () => {
    fc.assert(
      fc.property(fc.oneof(bytes(600), damaged), fc.integer({ min: 1, max: 40 }), (input, step) => {
        const atOnce = peekThrough(create_(), input, Math.max(input.length, 1));
        const inPieces = peekThrough(create_(), input, step);
        expect(inPieces.verdict).toBe(atOnce.verdict);
        expect(inPieces.info.requestedServerName).toBe(atOnce.info.requestedServerName);
        expect(inPieces.info.ja4Hash).toBe(atOnce.info.ja4Hash);
        expect(inPieces.info.transportFailureReason).toBe(atOnce.info.transportFailureReason);
      }),
      { numRuns: 600 },
    );
  });
});

it('16 KiB in records of one byte, one byte at a time, are read in linear time', () => {
  const bytes = encodeClientHello({ extensions: [[21, Buffer.alloc(3000)]] }, 1).subarray(0, 16_384);
  const started = process.cpuUsage().user;
  expect(peekThrough(create_(), bytes, 1).verdict).toBe('close');
  // A quadratic reader takes seconds.
  expect((process.cpuUsage().user - started) / 1000).toBeLessThan(1500);
});
