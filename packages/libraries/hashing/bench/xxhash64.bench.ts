// node --conditions=dragoman-source packages/libraries/hashing/bench/xxhash64.bench.ts

import { xxHash64 } from '../src/index.ts';

const ROUNDS = 200_000;
const VARIANTS = 64;

for (const length of [7, 15, 36, 100, 1000]) {
  const texts = Array.from({ length: VARIANTS }, (_, i) => String.fromCharCode(97 + (i % 26)).repeat(length));
  let best = Number.POSITIVE_INFINITY;
  let sum = 0;
  for (let run = 0; run < 5; run++) {
    const start = performance.now();
    for (let i = 0; i < ROUNDS; i++) sum += xxHash64(texts[i % VARIANTS] as string).low;
    best = Math.min(best, performance.now() - start);
  }
  console.log(`${length} bytes: ${((best * 1e6) / ROUNDS).toFixed(0)} ns a hash${sum < 0 ? '!' : ''}`);
}
