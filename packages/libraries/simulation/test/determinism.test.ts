import { describe, expect, test } from 'vitest';
import { constant, during, exponential, ill, imbalance, lognormal, Simulation } from '../src/index.ts';
import { scene, web } from './support/worlds.ts';

const NAMES = [
  'round_robin',
  'least_request',
  'random',
  'ring_hash',
  'maglev',
  'client_side_weighted_round_robin',
];

function run(policy: string, seed: number): string {
  const sim = new Simulation({ seed });
  const hosts = sim.network.addHosts(50, (index) => ({
    serviceTime: index % 2 === 0 ? exponential(20) : lognormal(15, 0.6),
    servers: 4,
    roundTrip: constant(1),
    reportsLoadOverMs: 1000,
    ...(index < 5
      ? { condition: during({ fromMs: 500, untilMs: 1500 }, ill({ timeFactor: 8, errorRate: 0.3 })) }
      : {}),
  }));
  const type = policy.replace(/(^|_)(.)/g, (_match, _line, letter: string) => letter.toUpperCase());
  const { proxy } = scene(sim, [{ hosts }], {
    clusters: [
      web({
        load_balancing_policy: {
          policies: [
            {
              typed_extension_config: {
                name: `envoy.load_balancing_policies.${policy}`,
                typed_config: {
                  '@type': `type.googleapis.com/envoy.extensions.load_balancing_policies.${policy}.v3.${type}`,
                  ...(policy.startsWith('client_side') ? { blackout_period: '0.1s' } : {}),
                },
              },
            },
          ],
        },
      }),
    ],
    route: {
      hash_policy: [{ header: { header_name: 'x-user' } }],
      retry_policy: { retry_on: '5xx', num_retries: 2 },
    },
  });
  const clients = sim.addClients({
    proxy,
    ratePerSecond: 800,
    untilMs: 4000,
    headers: (random) => ({ 'x-user': String(random.next() % 1000) }),
  });
  sim.runUntil(10_000);
  expect(clients.results.count).toBe(clients.sent);
  return `${clients.results.fingerprint()} ${imbalance(hosts).maxToMean} ${clients.results.summary().p99}`;
}

describe('the same seed, the same figures', () => {
  test.each(NAMES)('%s', (policy) => {
    expect(run(policy, 7)).toBe(run(policy, 7));
    expect(run(policy, 7)).not.toBe(run(policy, 8));
  });

  test('policies differ', () => {
    expect(new Set(NAMES.map((policy) => run(policy, 7))).size).toBe(NAMES.length);
  });
});
