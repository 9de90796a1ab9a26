import { describe, expect, test } from 'vitest';
import { constant, Simulation } from '../src/index.ts';
import { scene, web } from './support/worlds.ts';

const WINDOW_MS = 60_000;
const OLD = 9;
const STEP_MS = 6000;

/** weight of a host of this age. */
function factor(ageMs: number, aggression: number, min: number): number {
  return Math.max(min, (Math.max(ageMs, 1) / WINDOW_MS) ** (1 / aggression));
}

/** The new host's share of the requests in a span, by the formula. */
function expectedShare(fromMs: number, aggression: number, min: number): number {
  const points = 1000;
  let sum = 0;
  for (let i = 0; i < points; i++) {
    const weight = factor(fromMs + ((i + 0.5) * STEP_MS) / points, aggression, min);
    sum += weight / (OLD + weight);
  }
  return sum / points;
}

describe('a new host comes to its share as the formula says', () => {
  const policies = ['round_robin', 'least_request'];
  const curves = [
    { aggression: 1, min: 10 },
    { aggression: 2, min: 5 },
    { aggression: 0.5, min: 20 },
  ];
  test.each(policies.flatMap((policy) => curves.map((curve) => ({ policy, ...curve }))))(
    '$policy, aggression $aggression, at least $min %',
    ({ policy, aggression, min }) => {
      const sim = new Simulation({ seed: 2 });
      // Answers come at once: the number of open requests plays no part.
      const hosts = sim.network.addHosts(OLD + 1, { serviceTime: constant(0) });
      const config = {
        slow_start_config: {
          slow_start_window: `${WINDOW_MS / 1000}s`,
          aggression: { default_value: aggression, runtime_key: 'aggression' },
          min_weight_percent: { value: min },
        },
      };
      const { proxy, list, publish } = scene(sim, [{ hosts: hosts.slice(0, OLD) }], {
        clusters: [web({ lb_policy: policy.toUpperCase(), [`${policy}_lb_config`]: config })],
      });
      sim.runUntil(WINDOW_MS);
      list.replace({ hosts });
      publish();
      const clients = sim.addClients({ proxy, ratePerSecond: 500, fromMs: WINDOW_MS });
      const fresh = hosts[OLD];
      for (let step = 0; step < WINDOW_MS / STEP_MS; step++) {
        const before = [fresh.arrived, clients.sent];
        sim.runUntil(WINDOW_MS + (step + 1) * STEP_MS);
        const share = (fresh.arrived - before[0]) / (clients.sent - before[1]);
        const expected = expectedShare(step * STEP_MS, aggression, min / 100);
        expect(Math.abs(share / expected - 1), `step ${step}: ${share} for ${expected}`).toBeLessThan(0.06);
      }
      // Past the window it is one of ten.
      const before = [fresh.arrived, clients.sent];
      sim.runUntil(2 * WINDOW_MS + STEP_MS);
      expect((fresh.arrived - before[0]) / (clients.sent - before[1])).toBeCloseTo(1 / (OLD + 1), 2);
    },
  );
});
