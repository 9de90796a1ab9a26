import fc from 'fast-check';
import { expect, it } from 'vitest';
import { EdfScheduler } from '../src/index.ts';

const weights = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 40 });

it('picks each entry in proportion to its weight, never off by more than the number of entries', () => {
  fc.assert(
    fc.property(weights, fc.integer({ min: 1, max: 5 }), (list, rounds) => {
      const total = list.reduce((all, weight) => all + weight, 0);
      const scheduler = new EdfScheduler(list);
      const counts = list.map(() => 0);
      for (let i = 0; i < total * rounds; i++) counts[scheduler.next()]++;
      // Deadlines are sums of fractions: the last picks of a round may change places with the first of the next.
      list.forEach((weight, entry) => {
        expect(Math.abs(counts[entry] - weight * rounds)).toBeLessThanOrEqual(1);
      });
    }),
  );
});

it('agrees with a search for the earliest deadline at every pick', () => {
  fc.assert(
    fc.property(weights, (list) => {
      const scheduler = new EdfScheduler(list);
      const deadlines = list.map((weight) => 1 / weight);
      const turns = list.map((_, entry) => entry);
      for (let i = 0; i < 200; i++) {
        let best = 0;
        for (let entry = 1; entry < list.length; entry++)
          if (
            deadlines[entry] < deadlines[best] ||
            (deadlines[entry] === deadlines[best] && turns[entry] < turns[best])
          )
            best = entry;
        expect(scheduler.next()).toBe(best);
        deadlines[best] += 1 / list[best];
        turns[best] = list.length + i;
      }
    }),
  );
});

it('never picks the same entry twice in a row when another has at least its weight', () => {
  const scheduler = new EdfScheduler([5, 5, 1]);
  let before = -1;
  for (let i = 0; i < 1000; i++) {
    const entry = scheduler.next();
    expect(entry).not.toBe(before);
    before = entry;
  }
});
