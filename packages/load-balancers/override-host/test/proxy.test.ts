import { staticDiscovery } from '@dragoman/discovery-static';
import { httpConnectionManager } from '@dragoman/http';
import { router } from '@dragoman/http-filter-router';
import { roundRobin } from '@dragoman/load-balancer-round-robin';
import { uuidRequestId } from '@dragoman/request-id-uuid';
import { httpBootstrap, HttpUpstream, loadAssignment, startProxy, text } from '@dragoman/testing';
import { expect, test } from 'vitest';
import { overrideHost } from '../src/index.ts';

const extensions = [httpConnectionManager, router, roundRobin, staticDiscovery, uuidRequestId, overrideHost];
const POLICIES = 'type.googleapis.com/envoy.extensions.load_balancing_policies';

test('a request goes to the host that it names, and a retry to the next', async () => {
  await using bad = await HttpUpstream.start(({ response }) => void response.writeHead(503).end('bad'));
  await using good = await HttpUpstream.start(text('good'));
  const cluster = {
    type: 'STATIC',
    load_assignment: loadAssignment('c', [good.port, bad.port]),
    load_balancing_policy: {
      policies: [
        {
          typed_extension_config: {
            name: 'envoy.load_balancing_policies.override_host',
            typed_config: {
              '@type': `${POLICIES}.override_host.v3.OverrideHost`,
              override_host_sources: [{ header: 'x-gateway-destination-endpoint' }],
              fallback_policy: {
                policies: [
                  {
                    typed_extension_config: {
                      name: 'envoy.load_balancing_policies.round_robin',
                      typed_config: { '@type': `${POLICIES}.round_robin.v3.RoundRobin` },
                    },
                  },
                ],
              },
            },
          },
        },
      ],
    },
  };
  const retry_policy = { retry_on: '5xx', num_retries: 1, retry_back_off: { base_interval: '0.001s' } };
  const routes = [{ match: { prefix: '/' }, route: { cluster: 'c', retry_policy } }];
  await using proxy = await startProxy(httpBootstrap({ routes, clusters: { c: cluster } }), { extensions });
  const named = (...ports: number[]) =>
    `x-gateway-destination-endpoint: ${ports.map((port) => `127.0.0.1:${port}`).join(', ')}`;
  for (let i = 0; i < 4; i++) expect((await proxy.get('/', named(good.port))).status).toBe(200);
  expect([good.requests.length, bad.requests.length]).toEqual([4, 0]);
  expect((await proxy.get('/', named(bad.port, good.port))).status).toBe(200);
  expect([good.requests.length, bad.requests.length]).toEqual([5, 1]);
  expect((await proxy.get('/', named(bad.port, bad.port))).status).toBe(503);
  expect([good.requests.length, bad.requests.length]).toEqual([5, 3]);
});
