import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LineSplitter, parseJson } from '../src/index.ts';

describe('lines', () => {
  it('are the same however the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.uint8Array({ maxLength: 20 }).map((bytes) => bytes.map((byte) => (byte === 10 ? 11 : byte))),
        ),
        fc.array(fc.nat(30)),
        (lines, cuts) => {
          const bytes = Buffer.concat(lines.flatMap((line) => [line, Buffer.from('\n')]));
          const seen: string[] = [];
          const splitter = new LineSplitter(20, (line) => {
            seen.push(line.toString('hex'));
            return undefined;
          });
          let at = 0;
          for (const cut of [...cuts, bytes.length]) {
            expect(splitter.push(bytes.subarray(at, at + cut))).toBeUndefined();
            at += cut;
          }
          const full = lines
            .filter((line) => line.length > 0)
            .map((line) => Buffer.from(line).toString('hex'));
          expect(seen).toEqual(full);
          expect(splitter.pendingBytes).toBe(0);
        },
      ),
    );
  });

  it('that are too long stop it, also without an end', () => {
    const splitter = new LineSplitter(4, () => undefined);
    expect(splitter.push(Buffer.from('abcd\nab'))).toBeUndefined();
    expect(splitter.pendingBytes).toBe(2);
    expect(splitter.push(Buffer.from('cde'))).toBe('sent a line of more than 4 bytes');
  });

  it('stop when their reader says so', () => {
    const splitter = new LineSplitter(10, (line) => (line.toString() === 'b' ? 'enough' : undefined));
    expect(splitter.push(Buffer.from('a\nb\nc\n'))).toBe('enough');
  });
});

describe('JSON', () => {
  it('is read as JSON.parse reads it', () => {
    fc.assert(
      fc.property(fc.json({ depthSize: 'small', maxDepth: 20 }), (text) => {
        expect(parseJson(Buffer.from(text))).toEqual(JSON.parse(text));
      }),
    );
  });

  it('throws only its own errors, whatever comes', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 200 }),
          fc.string().map((text) => Buffer.from(text)),
        ),
        (bytes) => {
          try {
            parseJson(Buffer.from(bytes));
          } catch (error) {
            expect((error as Error).message).toMatch(/^is (not JSON|nested)/);
          }
        },
      ),
    );
  });

  it.each([
    ['deep lists', `${'['.repeat(65)}${']'.repeat(65)}`, /more than 64 levels/],
    ['deep objects', '{"a":'.repeat(1_000_000), /more than 64 levels/],
    ['a secret', 'password', /^is not JSON/],
    ['a half', '{"a":', /^is not JSON/],
  ])('refuses %s', (_, text, message) => {
    expect(() => parseJson(Buffer.from(text))).toThrow(message);
    expect(() => parseJson(Buffer.from(text))).not.toThrow(/password/);
  });

  it('does not count brackets in strings', () => {
    const text = JSON.stringify(['['.repeat(100), '\\"[', '"'.repeat(3), { '{{{': '\\' }]);
    expect(parseJson(Buffer.from(text))).toEqual(JSON.parse(text));
  });
});
