import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type HeapEntry, TimerHeap } from '../src/timer-heap.ts';

/** Adds an entry of this deadline, or takes out the one at this place among those that are in. */
const steps = fc.array(
  fc.oneof(fc.record({ add: fc.integer({ min: 0, max: 20 }) }), fc.record({ remove: fc.nat({ max: 30 }) })),
  { maxLength: 80 },
);

test('whatever is added and taken out, the first is the earliest', () => {
  fc.assert(
    fc.property(steps, (all) => {
      const heap = new TimerHeap();
      let model: HeapEntry[] = [];
      for (const [order, step] of all.entries()) {
        if ('add' in step) {
          const entry = { deadline: step.add, order, index: -1 };
          heap.add(entry);
          model.push(entry);
          model.sort((one, other) => one.deadline - other.deadline || one.order - other.order);
        } else if (model.length > 0) {
          const [gone] = model.splice(step.remove % model.length, 1);
          heap.remove(gone);
          heap.remove(gone);
          expect(gone.index).toBe(-1);
        }
        expect(heap.first).toBe(model[0]);
        expect(heap.size).toBe(model.length);
      }
      for (; model.length > 0; model = model.slice(1)) {
        expect(heap.first).toBe(model[0]);
        heap.remove(model[0]);
      }
    }),
  );
});
