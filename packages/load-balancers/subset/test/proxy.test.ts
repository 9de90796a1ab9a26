import { staticDiscovery } from '@dragoman/discovery-static';
import { httpConnectionManager } from '@dragoman/http';
import { router } from '@dragoman/http-filter-router';
import { roundRobin } from '@dragoman/load-balancer-round-robin';
import { uuidRequestId } from '@dragoman/request-id-uuid';
import {
  httpBootstrap,
  HttpUpstream,
  type JsonObject,
  lbEndpoint,
  startProxy,
  text,
} from '@dragoman/testing';
import { expect, test } from 'vitest';
import { subset } from '../src/index.ts';

const extensions = [httpConnectionManager, router, roundRobin, staticDiscovery, uuidRequestId, subset];

const metadata = (fields: JsonObject): JsonObject => ({ filter_metadata: { 'envoy.lb': fields } });
const asking = (prefix: string, fields: JsonObject): JsonObject => ({
  match: { prefix },
  route: { cluster: 'c', metadata_match: metadata(fields) },
});

const SUBSETS = {
  fallback_policy: 'DEFAULT_SUBSET',
  default_subset: { v: 1 },
  subset_selectors: [{ keys: ['v'] }],
};
const POLICY = (name: string, config: JsonObject): JsonObject => ({
  policies: [
    {
      typed_extension_config: {
        name: `envoy.load_balancing_policies.${name}`,
        typed_config: {
          '@type': `type.googleapis.com/envoy.extensions.load_balancing_policies.${name}.v3.${config['type'] as string}`,
          ...(config['value'] as JsonObject),
        },
      },
    },
  ],
});

test.each<[string, JsonObject]>([
  ['lb_subset_config', { lb_policy: 'ROUND_ROBIN', lb_subset_config: SUBSETS }],
  [
    'load_balancing_policy',
    {
      load_balancing_policy: POLICY('subset', {
        type: 'Subset',
        value: { ...SUBSETS, subset_lb_policy: POLICY('round_robin', { type: 'RoundRobin', value: {} }) },
      }),
    },
  ],
])('routes go to hosts with their metadata: %s', async (_name, policy) => {
  await using one = await HttpUpstream.start(text('one'));
  await using two = await HttpUpstream.start(text('two'));
  const endpoints = [one, two].map(({ port }, index) => ({
    ...lbEndpoint('127.0.0.1', port),
    metadata: metadata({ v: index + 1 }),
  }));
  const cluster = {
    type: 'STATIC',
    load_assignment: { cluster_name: 'c', endpoints: [{ lb_endpoints: endpoints }] },
    ...policy,
  };
  const routes = [asking('/one', { v: 1 }), asking('/two', { v: 2 }), asking('/', { v: 3 })];
  await using proxy = await startProxy(httpBootstrap({ routes, clusters: { c: cluster } }), { extensions });
  const bodies: string[] = [];
  for (const path of ['/one', '/two', '/two', '/three', '/one'])
    bodies.push(String((await proxy.get(path)).body));
  expect(bodies).toEqual(['one', 'two', 'two', 'one', 'one']);
  const stats = ['active', 'created', 'selected', 'fallback'].map((name) =>
    proxy.stat(`cluster.c.lb_subsets_${name}`),
  );
  expect(stats).toEqual([2, 2, 4, 1]);
});
