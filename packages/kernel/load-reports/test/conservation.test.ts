import { durationFromMs } from '@dragoman/api';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { load, locality, Rig } from './rig.ts';

/** What may happen to a reporter, in any order. */
const EVENT = fc.oneof(
  fc.record({
    kind: fc.constant('requests' as const),
    thread: fc.nat(2),
    count: fc.integer({ min: 1, max: 50 }),
  }),
  fc.record({ kind: fc.constant('time' as const), ms: fc.nat(15_000) }),
  fc.record({ kind: fc.constantFrom('end' as const, 'open' as const, 'ask' as const, 'answer' as const) }),
  fc.record({ kind: fc.constant('late' as const), thread: fc.nat(2), late: fc.boolean() }),
  fc.record({ kind: fc.constant('full' as const), writable: fc.boolean() }),
);

test('every request is reported exactly once, and every moment belongs to one report', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(EVENT, { maxLength: 40 }), async (events) => {
      const rig = new Rig();
      rig.reporter.start();
      const wish = { clusters: ['web'], loadReportingInterval: durationFromMs(5_000) };
      const { stream, loads } = rig;
      stream.say(wish);
      const begun = rig.context.clock.now();
      await rig.advance(0);
      let open = true;
      let counted = 0;
      for (const event of events) {
        switch (event.kind) {
          case 'requests': {
            const thread = `worker_${event.thread}`;
            const waiting = loads.next.get(thread) ?? [];
            loads.next.set(thread, [...waiting, load('web', locality('a', `${event.count}`))]);
            counted += event.count;
            break;
          }
          case 'time':
            await rig.advance(event.ms);
            break;
          case 'end':
            if (open) stream.end(14);
            open = false;
            break;
          case 'open':
            if (!open) stream.open();
            open = true;
            break;
          case 'ask':
            if (open) stream.say(wish);
            break;
          case 'answer':
            loads.answerLate();
            break;
          case 'late':
            if (event.late) loads.late.add(`worker_${event.thread}`);
            else loads.late.delete(`worker_${event.thread}`);
            break;
          case 'full':
            stream.writable = event.writable;
        }
      }
      loads.late.clear();
      loads.answerLate();
      stream.writable = true;
      if (!open) stream.open();
      await rig.advance(10_000);
      const ended = rig.context.clock.now();
      let reported = 0;
      let time = 0;
      for (const { clusterStats } of stream.sent)
        for (const { loadReportInterval, upstreamLocalityStats } of clusterStats) {
          time += Number(loadReportInterval?.seconds) * 1000 + (loadReportInterval?.nanos ?? 0) / 1e6;
          for (const { totalIssuedRequests } of upstreamLocalityStats)
            reported += Number(totalIssuedRequests);
        }
      expect(reported).toBe(counted);
      // The last report is up to an interval ago.
      expect(ended - begun - time).toBeGreaterThanOrEqual(0);
      expect(ended - begun - time).toBeLessThan(5_000);
    }),
    { numRuns: 150 },
  );
});
