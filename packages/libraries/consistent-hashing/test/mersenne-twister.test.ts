import { expect, it } from 'vitest';
import { MersenneTwister } from '../src/mersenne-twister.ts';

// The C++ standard says what std::mt19937 gives as its 10,000th number ([rand.predef]).
it('is std::mt19937', () => {
  const twister = new MersenneTwister();
  twister.seed(5489);
  let last = 0;
  for (let i = 0; i < 10_000; i++) last = twister.next();
  expect(last).toBe(4123659995);
});

it('begins anew with each seed, wherever it was', () => {
  const first = (twister: MersenneTwister, seed: number, skip: number) => {
    twister.seed(seed);
    const numbers = Array.from({ length: 1300 }, () => twister.next());
    for (let i = 0; i < skip; i++) twister.next();
    return numbers;
  };
  const used = new MersenneTwister();
  for (const [seed, skip] of [
    [0, 0],
    [2 ** 32 - 1, 5],
    [17, 700],
    [0, 1],
  ] as const)
    expect(first(used, seed, skip)).toEqual(first(new MersenneTwister(), seed, 0));
});
