import { staticDiscovery } from '@dragoman/discovery-static';
import { httpConnectionManager } from '@dragoman/http';
import { router } from '@dragoman/http-filter-router';
import { wrrLocality } from '@dragoman/load-balancer-wrr-locality';
import { uuidRequestId } from '@dragoman/request-id-uuid';
import {
  FakeClock,
  httpBootstrap,
  HttpUpstream,
  type JsonObject,
  lbEndpoint,
  reply,
  SeededRandom,
  startProxy,
  type TestProxy,
} from '@dragoman/testing';
import { expect, it } from 'vitest';
import { clientSideWeightedRoundRobin } from '../src/index.ts';

const EXTENSIONS = [
  clientSideWeightedRoundRobin,
  httpConnectionManager,
  router,
  staticDiscovery,
  uuidRequestId,
  wrrLocality,
];
const TYPES = 'type.googleapis.com/envoy.extensions.load_balancing_policies';

const BY_REPORTS: JsonObject = {
  policies: [
    {
      typed_extension_config: {
        name: 'envoy.load_balancing_policies.client_side_weighted_round_robin',
        typed_config: {
          '@type': `${TYPES}.client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin`,
          blackout_period: '1s',
        },
      },
    },
  ],
};
const BY_LOCALITY: JsonObject = {
  policies: [
    {
      typed_extension_config: {
        name: 'envoy.load_balancing_policies.wrr_locality',
        typed_config: {
          '@type': `${TYPES}.wrr_locality.v3.WrrLocality`,
          endpoint_picking_policy: BY_REPORTS,
        },
      },
    },
  ],
};

/** An upstream that reports a weight of its own with each answer. */
const reporting = (weight: number): Promise<HttpUpstream> =>
  HttpUpstream.start(
    reply({ headers: { 'endpoint-load-metrics': `TEXT rps_fractional=${weight},cpu_utilization=1` } }),
  );

function start(policy: JsonObject, endpoints: readonly JsonObject[], clock: FakeClock): Promise<TestProxy> {
  const cluster = {
    load_balancing_policy: policy,
    load_assignment: { cluster_name: 'c', endpoints },
  };
  return startProxy(httpBootstrap({ clusters: { c: cluster } }), {
    extensions: EXTENSIONS,
    clock,
    random: new SeededRandom(11),
  });
}

async function counts(proxy: TestProxy, upstreams: readonly HttpUpstream[], requests: number) {
  const before = upstreams.map((upstream) => upstream.requests.length);
  for (let i = 0; i < requests; i++) expect((await proxy.get('/')).status).toBe(200);
  return upstreams.map((upstream, index) => upstream.requests.length - before[index]);
}

it('shares requests by what hosts report with their answers', async () => {
  await using strong = await reporting(30);
  await using weak = await reporting(10);
  const clock = new FakeClock();
  const hosts = [strong, weak];
  const endpoints = [{ lb_endpoints: hosts.map(({ port }) => lbEndpoint('127.0.0.1', port)) }];
  await using proxy = await start(BY_REPORTS, endpoints, clock);
  expect(await counts(proxy, hosts, 8)).toEqual([4, 4]);
  clock.advance(2_000);
  const [more, less] = await counts(proxy, hosts, 40);
  expect(Math.abs(more - 30)).toBeLessThanOrEqual(1);
  expect(Math.abs(less - 10)).toBeLessThanOrEqual(1);
});

it('shares them among the hosts of a locality, inside wrr_locality', async () => {
  await using strong = await reporting(30);
  await using weak = await reporting(10);
  await using other = await reporting(1000);
  const clock = new FakeClock();
  const endpoints = [
    {
      locality: { zone: 'a' },
      load_balancing_weight: 2,
      lb_endpoints: [strong, weak].map(({ port }) => lbEndpoint('127.0.0.1', port)),
    },
    {
      locality: { zone: 'b' },
      load_balancing_weight: 1,
      lb_endpoints: [lbEndpoint('127.0.0.1', other.port)],
    },
  ];
  await using proxy = await start(BY_LOCALITY, endpoints, clock);
  const hosts = [strong, weak, other];
  expect(await counts(proxy, hosts, 12)).toEqual([4, 4, 4]);
  clock.advance(2_000);
  const found = await counts(proxy, hosts, 60);
  [30, 10, 20].forEach((share, index) => {
    expect(Math.abs(found[index] - share)).toBeLessThanOrEqual(1);
  });
});
