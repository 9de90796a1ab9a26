import { create, ProxyProtocolSchema } from '@dragoman/api';
import { peekThrough, testContext } from '@dragoman/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { proxyProtocol } from '../src/index.ts';
import { readTlvs, sanitizedText } from '../src/tlvs.ts';
import { IPV6, SIGNATURE, tlv, v2 } from './headers.ts';

const bytes = (maxLength: number) => fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));
const header = v2({
  family: 0x21,
  addresses: IPV6,
  tlvs: [tlv(1, 'h2'), tlv(2, 'a.example'), tlv(0xea, 'x')],
});
const damaged = fc
  .array(fc.tuple(fc.integer({ min: 12, max: header.length - 1 }), fc.nat(255)), { maxLength: 4 })
  .map((changes) => {
    const copy = Buffer.from(header);
    for (const [at, value] of changes) copy[at] = value;
    return copy;
  });
const line = fc
  .array(
    fc.constantFrom('PROXY', ' ', 'TCP4', 'TCP6', 'UNKNOWN', '1.2.3.4', '::1', '80', '99999', '\r', '\n'),
    {
      maxLength: 14,
    },
  )
  .map((parts) => Buffer.from(`PROXY ${parts.join('')}\r\n`));
const input = fc.oneof(
  bytes(300),
  bytes(300).map((rest) => Buffer.concat([SIGNATURE, rest])),
  damaged,
  line,
);

function take(data: Buffer, step: number, allowMissing: boolean) {
  const config = create(ProxyProtocolSchema, {
    allowRequestsWithoutProxyProtocol: allowMissing,
    rules: [{ tlvType: 2, onTlvPresent: { key: 'a' } }],
    passThroughTlvs: {},
  });
  return peekThrough(proxyProtocol.create(config as never, testContext())(), data, step);
}

describe('hostile bytes', () => {
  it('never throw, and mean the same in any pieces', () => {
    fc.assert(
      fc.property(input, fc.integer({ min: 1, max: 20 }), fc.boolean(), (data, step, allowMissing) => {
        const atOnce = take(data, Math.max(data.length, 1), allowMissing);
        const inPieces = take(data, step, allowMissing);
        expect(inPieces.verdict).toBe(atOnce.verdict);
        if (atOnce.verdict !== 'continue') return;
        expect(inPieces.consumed).toBe(atOnce.consumed);
        expect(inPieces.info.remoteAddress.text).toBe(atOnce.info.remoteAddress.text);
      }),
      { numRuns: 1500 },
    );
  });

  it('are read as TLVs that cover all of them, or as none', () => {
    fc.assert(
      fc.property(bytes(100), (data) => {
        const tlvs = readTlvs(data);
        if (tlvs === undefined) return;
        expect(tlvs.reduce((sum, { value }) => sum + 3 + value.length, 0)).toBe(data.length);
      }),
      { numRuns: 1000 },
    );
  });

  it('become text that is UTF-8, and text that was stays', () => {
    fc.assert(
      fc.property(bytes(40), fc.string({ unit: 'binary' }), (data, text) => {
        const sanitized = sanitizedText(data);
        if (!data.includes('\ufffd')) expect(sanitized).not.toContain('\ufffd');
        if (Buffer.from(data.toString('utf8')).equals(data)) expect(sanitized).toBe(data.toString('utf8'));
        expect(sanitizedText(Buffer.from(text))).toBe(Buffer.from(text).toString('utf8'));
      }),
      { numRuns: 1000 },
    );
  });
});
