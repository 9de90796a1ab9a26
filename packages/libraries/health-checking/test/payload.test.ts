import { create, HealthCheck_PayloadSchema as PayloadSchema } from '@dragoman/api';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodePayload, PayloadScan } from '../src/index.ts';

const blocks = (...texts: string[]) => texts.map((text) => Buffer.from(text));

describe('decodePayload', () => {
  it.each([
    ['000000FF', '000000ff'],
    ['50494e47', '50494e47'],
  ])('%s', (text, hex) => {
    const payload = create(PayloadSchema, { payload: { case: 'text', value: text } });
    expect(decodePayload(payload).toString('hex')).toBe(hex);
  });

  it.each(['', 'f', 'zz', '0x00', '00 00', '00\n'])('refuses %j', (text) => {
    const payload = create(PayloadSchema, { payload: { case: 'text', value: text } });
    expect(() => decodePayload(payload)).toThrow(/text: invalid hex string/);
  });

  it('takes binary as it is, and nothing else', () => {
    const binary = create(PayloadSchema, { payload: { case: 'binary', value: new Uint8Array([0, 255]) } });
    expect(decodePayload(binary)).toEqual(Buffer.from([0, 255]));
    expect(() => decodePayload(create(PayloadSchema))).toThrow('one of text and binary is required');
  });
});

describe('PayloadScan', () => {
  it.each([
    [['a'], 'a', true],
    [['a'], 'b', false],
    [['ab', 'cd'], 'xxabyycdzz', true],
    [['ab', 'cd'], 'cdab', false],
    [['ab', 'ba'], 'aba', false],
    [['ab', 'ba'], 'abba', true],
    [['aa', 'a'], 'aa', false],
    [['aab'], 'aaab', true],
    [[], '', true],
  ] as const)('%j in %j: %s', (wanted, text, expected) => {
    for (let size = 1; size <= text.length + 1; size++) {
      const scan = new PayloadScan(blocks(...wanted));
      for (let at = 0; at < text.length; at += size) scan.push(Buffer.from(text.slice(at, at + size)));
      expect(scan.matched).toBe(expected);
    }
  });

  it('finds in pieces what it finds in one', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 12 });
    fc.assert(
      fc.property(fc.array(text, { maxLength: 3 }), fc.array(text, { maxLength: 6 }), (wanted, pieces) => {
        const scan = new PayloadScan(blocks(...wanted));
        for (const piece of pieces) {
          const chunk = Buffer.from(piece);
          scan.push(chunk);
          chunk.fill(0xfe);
        }
        const pattern = new RegExp(wanted.join('.*?'), 's');
        expect(scan.matched).toBe(pattern.test(pieces.join('')));
      }),
      { seed: 7 },
    );
  });

  it('begins anew', () => {
    const scan = new PayloadScan(blocks('ab', 'c'));
    scan.push(Buffer.from('ab'));
    scan.reset();
    expect(scan.push(Buffer.from('c'))).toBe(false);
  });
});
