import { grpcFrames, inPieces } from '@dragoman/grpc-testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Base64Decoder } from '../src/base64-decoder.ts';
import { Base64FrameEncoder } from '../src/frame-encoder.ts';

const sizes = fc.array(fc.integer({ min: 0, max: 9 }));

function decode(pieces: readonly Buffer[]): Buffer | undefined {
  const decoder = new Base64Decoder();
  const parts: Buffer[] = [];
  for (const piece of pieces) {
    const part = decoder.push(piece);
    if (part === undefined) return undefined;
    parts.push(part);
  }
  return decoder.pending === 0 ? Buffer.concat(parts) : undefined;
}

describe('Base64Decoder', () => {
  it.each([
    ['', ''],
    ['Zm9v', 'foo'],
    ['Zm8=', 'fo'],
    ['Zg==', 'f'],
    ['Zg==Zg==', 'ff'],
    ['Zm8=Zm9vZg==', 'fofoof'],
    ['+/+/', '\xfb\xff\xbf'],
  ])('decodes %j', (text, expected) => {
    expect(decode([Buffer.from(text)])?.toString('latin1')).toBe(expected);
  });

  it.each([
    '==Zg',
    '=Zm8',
    'Zm=8',
    'Zg=A',
    'Zh==',
    'Zm9=',
    'Zg..',
    '..Zg',
    'A===',
    '====',
    '****',
    'Zm9 ',
    'Zm-_',
    'Zm9\n',
    'Zm9\xff',
  ])('refuses %j, in one piece or in many', (text) => {
    const bytes = Buffer.from(text, 'latin1');
    expect(decode([bytes])).toBeUndefined();
    expect(decode(inPieces(bytes, [1, 1, 1]))).toBeUndefined();
    expect(decode([Buffer.from('Zm9v'), bytes])).toBeUndefined();
  });

  it('waits for whole groups', () => {
    const decoder = new Base64Decoder();
    expect([decoder.push(Buffer.from('Zm9'))?.length, decoder.pending]).toEqual([0, 3]);
    expect([decoder.push(Buffer.from('vYg'))?.toString(), decoder.pending]).toEqual(['foo', 2]);
    expect([decoder.push(Buffer.from('=='))?.toString(), decoder.pending]).toEqual(['b', 0]);
  });

  it('brings back what was encoded, in parts, and in whatever pieces', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array()), sizes, (parts, cuts) => {
        const text = parts.map((part) => Buffer.from(part).toString('base64')).join('');
        expect(decode(inPieces(Buffer.from(text), cuts))).toEqual(Buffer.concat(parts));
      }),
    );
  });

  it('accepts what it would write itself, and nothing else', () => {
    const text = fc.string({ unit: fc.constantFrom('A', 'B', '/', '+', '=', '-', ' ', 'z'), maxLength: 12 });
    fc.assert(
      fc.property(text, sizes, (encoded, cuts) => {
        const decoded = decode(inPieces(Buffer.from(encoded), cuts));
        const groups = encoded.match(/.{1,4}/gs) ?? [];
        const valid = groups.every((group) => Buffer.from(group, 'base64').toString('base64') === group);
        expect(decoded !== undefined).toBe(valid);
      }),
    );
  });
});

describe('Base64FrameEncoder', () => {
  const messages = fc.array(fc.uint8Array({ maxLength: 30 }), { maxLength: 5 });

  it('encodes each message for itself, whatever the pieces', () => {
    fc.assert(
      fc.property(messages, sizes, (parts, cuts) => {
        const encoder = new Base64FrameEncoder();
        const text = inPieces(grpcFrames(...parts), cuts).map((piece) =>
          encoder.push(piece).toString('latin1'),
        );
        expect(text.join('')).toBe(parts.map((part) => grpcFrames(part).toString('base64')).join(''));
        expect(encoder.end()).toHaveLength(0);
      }),
    );
  });

  it('loses nothing of what ends too early, or is no gRPC', () => {
    fc.assert(
      fc.property(fc.uint8Array(), sizes, (bytes, cuts) => {
        const encoder = new Base64FrameEncoder();
        const pieces = inPieces(Buffer.from(bytes), cuts).map((piece) => encoder.push(piece));
        expect(decode([...pieces, encoder.end()])).toEqual(Buffer.from(bytes));
      }),
    );
  });
});
