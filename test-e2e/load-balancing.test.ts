import { eventually, HttpUpstream, text } from '@dragoman/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bootstrap, cluster, httpListener, type Message, prefixRoute } from './support/config.ts';
import { stats } from './support/draining.ts';
import { Sidecar, skipUnbuilt, UNBUILT } from './support/sidecar.ts';

const TYPE = 'type.googleapis.com/envoy.extensions.load_balancing_policies';

const policy = (name: string, message: string, fields: Message = {}): Message => ({
  policies: [
    {
      typed_extension_config: {
        name: `envoy.load_balancing_policies.${name}`,
        typed_config: { '@type': `${TYPE}.${name}.v3.${message}`, ...fields },
      },
    },
  ],
});

/** Answers of the four upstreams to requests with `headers`, counted by upstream. */
async function spread(
  port: number,
  requests: number,
  headers: (i: number) => Record<string, string> = () => ({}),
): Promise<readonly number[]> {
  const counts = [0, 0, 0, 0];
  for (let i = 0; i < requests; i++) {
    const response = await fetch(`http://127.0.0.1:${port}/`, { headers: headers(i) });
    expect(response.status).toBe(200);
    counts[Number(await response.text())]++;
  }
  return counts;
}

describe.skipIf(skipUnbuilt)(`load-balancing policies of the sidecar${UNBUILT}`, () => {
  let upstreams: HttpUpstream[];
  beforeAll(async () => {
    upstreams = [];
    for (let i = 0; i < 4; i++) upstreams.push(await HttpUpstream.start(text(`${i}`)));
  });
  afterAll(async () => {
    for (const upstream of upstreams) await upstream.stop();
  });

  const serve = (more: Message, action: Message = {}): Promise<Sidecar> => {
    const ports = upstreams.map(({ port }) => port);
    const routes = [prefixRoute('/', 'upstream', action)];
    return Sidecar.serve(bootstrap([httpListener({ routes })], [cluster('upstream', ports, more)]), [
      '--concurrency',
      '2',
    ]);
  };

  it.each<[string, Message]>([
    ['ROUND_ROBIN', { lb_policy: 'ROUND_ROBIN' }],
    ['LEAST_REQUEST', { lb_policy: 'LEAST_REQUEST', least_request_lb_config: { choice_count: 3 } }],
    ['RANDOM', { lb_policy: 'RANDOM' }],
    ['least_request by its message', { load_balancing_policy: policy('least_request', 'LeastRequest') }],
    [
      'wrr_locality around round_robin',
      {
        load_balancing_policy: policy('wrr_locality', 'WrrLocality', {
          endpoint_picking_policy: policy('round_robin', 'RoundRobin'),
        }),
      },
    ],
    [
      'client_side_weighted_round_robin',
      {
        load_balancing_policy: policy('client_side_weighted_round_robin', 'ClientSideWeightedRoundRobin'),
      },
    ],
  ])('%s comes to every host', async (_name, more) => {
    await using sidecar = await serve(more);
    for (const count of await spread(await sidecar.port(), 80)) expect(count).toBeGreaterThan(2);
  });

  it.each<[string, Message]>([
    ['RING_HASH', { lb_policy: 'RING_HASH' }],
    ['MAGLEV', { lb_policy: 'MAGLEV' }],
    ['MAGLEV with a table of its own', { lb_policy: 'MAGLEV', maglev_lb_config: { table_size: 1031 } }],
  ])('%s comes to the same host for the same key, on every worker', async (_name, more) => {
    await using sidecar = await serve(more, { hash_policy: [{ header: { header_name: 'x-key' } }] });
    const port = await sidecar.port();
    const hosts = new Set<string>();
    for (let key = 0; key < 12; key++) {
      const counts = await spread(port, 6, () => ({ 'x-key': `${key}` }));
      expect(counts.filter((count) => count > 0)).toEqual([6]);
      hosts.add(String(counts));
    }
    expect(hosts.size).toBeGreaterThan(1);
  });

  it('subsets by metadata of the route', async () => {
    const ports = upstreams.map(({ port }) => port);
    const endpoint = (port: number, stage: string): Message => ({
      endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } },
      metadata: { filter_metadata: { 'envoy.lb': { stage } } },
    });
    const routes = ['canary', 'prod'].map((stage) =>
      prefixRoute(`/${stage}`, 'upstream', {
        metadata_match: { filter_metadata: { 'envoy.lb': { stage } } },
      }),
    );
    const upstream = cluster('upstream', [], {
      lb_subset_config: { fallback_policy: 'NO_FALLBACK', subset_selectors: [{ keys: ['stage'] }] },
      load_assignment: {
        cluster_name: 'upstream',
        endpoints: [{ lb_endpoints: ports.map((port, i) => endpoint(port, i === 3 ? 'canary' : 'prod')) }],
      },
    });
    await using sidecar = await Sidecar.serve(bootstrap([httpListener({ routes })], [upstream]));
    const port = await sidecar.port();
    const answers = async (path: string) =>
      new Set(
        await Promise.all(
          Array.from({ length: 20 }, async () => (await fetch(`http://127.0.0.1:${port}${path}`)).text()),
        ),
      );
    expect(await answers('/canary')).toEqual(new Set(['3']));
    expect(await answers('/prod')).toEqual(new Set(['0', '1', '2']));
    expect(await stats(sidecar, 'cluster.upstream.lb_subsets_selected')).toEqual([40]);
  });

  it('override_host goes where a header says, and to the others without it', async () => {
    await using sidecar = await serve({
      load_balancing_policy: policy('override_host', 'OverrideHost', {
        override_host_sources: [{ header: 'x-host' }],
        fallback_policy: policy('round_robin', 'RoundRobin'),
      }),
    });
    const port = await sidecar.port();
    const host = `127.0.0.1:${upstreams[2].port}`;
    expect(await spread(port, 8, () => ({ 'x-host': host }))).toEqual([0, 0, 8, 0]);
    expect(Math.max(...(await spread(port, 8)))).toBeLessThan(8);
  });

  it('zones of the proxy’s own cluster keep requests in the own one', async () => {
    const zone = (name: string, ports: readonly number[]): Message => ({
      locality: { region: 'r', zone: name },
      lb_endpoints: ports.map((port) => ({
        endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } },
      })),
    });
    const [a, b, c, d] = upstreams.map(({ port }) => port);
    const assigned = (name: string, endpoints: readonly Message[]): Message =>
      cluster(name, [], { load_assignment: { cluster_name: name, endpoints } });
    const config = {
      ...bootstrap(
        [httpListener({})],
        [
          {
            ...assigned('upstream', [zone('here', [a, b]), zone('there', [c, d])]),
            common_lb_config: { zone_aware_lb_config: { min_cluster_size: 2 } },
          },
          assigned('proxies', [zone('here', [1]), zone('there', [2])]),
        ],
      ),
      node: { id: 'n', cluster: 'proxies', locality: { region: 'r', zone: 'here' } },
      cluster_manager: { local_cluster_name: 'proxies' },
    };
    await using sidecar = await Sidecar.serve(config);
    const counts = await spread(await sidecar.port(), 20);
    expect([counts[0] + counts[1], counts[2] + counts[3]]).toEqual([20, 0]);
    await eventually(async () =>
      expect(await stats(sidecar, 'cluster.upstream.lb_zone_routing_all_directly')).toEqual([20]),
    );
  });
});
