import { RandomSchema, StructSchema } from '@dragoman/api';
import {
  defineHttpFilter,
  defineLoadBalancer,
  type Host,
  type HttpFilter,
  type LoadBalancerContext,
} from '@dragoman/core';
import { HttpUpstream, type JsonObject, loadAssignment, text } from '@dragoman/testing';
import { expect, test } from 'vitest';
import { startRouter } from './support.ts';

const seen: LoadBalancerContext['metadataMatch'][] = [];

/** Keeps what picks are asked to match. */
const watching = defineLoadBalancer({
  name: 'test.watching',
  config: RandomSchema,
  lbPolicy: 'RANDOM',
  create: () => ({
    createPicker: (hosts: readonly Host[]) => ({
      pick(context) {
        seen.push(context?.metadataMatch);
        return hosts[0];
      },
    }),
  }),
});

const clusterOf = ({ port }: HttpUpstream): Record<string, JsonObject> => ({
  c: { type: 'STATIC', lb_policy: 'RANDOM', load_assignment: loadAssignment('c', [port]) },
});

const match = (fields: JsonObject): JsonObject => ({
  metadata_match: { filter_metadata: { 'envoy.lb': fields, other: { x: 1 } } },
});

test.each<[string, JsonObject, LoadBalancerContext['metadataMatch']]>([
  ['the route', { cluster: 'c', ...match({ v: '1', n: 2 }) }, { v: '1', n: 2 }],
  [
    'the weighted cluster over the route',
    {
      weighted_clusters: { clusters: [{ name: 'c', weight: 1, ...match({ v: '2', stage: 'prod' }) }] },
      ...match({ v: '1', n: 2 }),
    },
    { v: '2', n: 2, stage: 'prod' },
  ],
  ['nobody', { cluster: 'c' }, undefined],
])('hosts are matched by what is asked by %s', async (_name, route, expected) => {
  seen.length = 0;
  await using upstream = await HttpUpstream.start(text('x'));
  await using proxied = await startRouter(
    { routes: [{ match: { prefix: '/' }, route }], clusters: clusterOf(upstream) },
    [watching],
  );
  await proxied.proxy.get('/');
  expect(seen).toEqual([expected]);
});

/** Writes what a header has into the metadata that load balancers read. */
const marking = defineHttpFilter({
  name: 'test.mark',
  config: StructSchema,
  create:
    () =>
    (stream): HttpFilter => ({
      onRequestHeaders(headers) {
        const version = headers.get('version');
        if (version !== undefined) stream.info.dynamicMetadata.set('envoy.lb', { v: version, dynamic: true });
        else stream.info.dynamicMetadata.set('other', { v: 'x' });
      },
    }),
});
const MARKING: JsonObject[] = [
  { name: 'test.mark', typed_config: { '@type': 'type.googleapis.com/google.protobuf.Struct', value: {} } },
];

test.each<[JsonObject, string[], LoadBalancerContext['metadataMatch']]>([
  [match({ v: '1', n: 2 }), ['version: 9'], { v: '9', n: 2, dynamic: true }],
  [{}, ['version: 9'], { v: '9', dynamic: true }],
  [match({ v: '1' }), [], { v: '1' }],
])('dynamic metadata is laid over %j', async (criteria, headers, expected) => {
  seen.length = 0;
  await using upstream = await HttpUpstream.start(text('x'));
  const routes = [{ match: { prefix: '/' }, route: { cluster: 'c', ...criteria } }];
  await using proxied = await startRouter({ routes, clusters: clusterOf(upstream), httpFilters: MARKING }, [
    watching,
    marking,
  ]);
  await proxied.proxy.get('/', ...headers);
  expect(seen).toEqual([expected]);
});
