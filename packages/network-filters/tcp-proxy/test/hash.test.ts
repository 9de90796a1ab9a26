import { expect, test } from 'vitest';
import { hash53 } from '../src/hash.ts';

test('neighbouring addresses spread over the whole range without meeting', () => {
  const buckets = new Array<number>(16).fill(0);
  const seen = new Set<number>();
  for (let a = 0; a < 64; a++) {
    for (let b = 0; b < 256; b++) {
      const hash = hash53(`10.0.${a}.${b}`);
      expect(hash >= 0 && hash < 2 ** 53).toBe(true);
      seen.add(hash);
      buckets[Math.floor((hash / 2 ** 53) * 16)]++;
    }
  }
  expect(seen.size).toBe(64 * 256);
  // 1,024 are expected in each bucket, with a standard deviation of 31.
  for (const count of buckets) expect(Math.abs(count - 1024)).toBeLessThan(5 * 31);
});

test('the low bits spread as well', () => {
  const buckets = new Array<number>(7).fill(0);
  for (let b = 0; b < 7000; b++) buckets[hash53(`2001:db8::${b.toString(16)}`) % 7]++;
  for (const count of buckets) expect(Math.abs(count - 1000)).toBeLessThan(5 * 30);
});
