import { EarlyHeaderMutationHeaderMutationSchema, readLoose } from '@dragoman/api';
import { StreamInfo } from '@dragoman/core';
import { staticDiscovery } from '@dragoman/discovery-static';
import { httpConnectionManager } from '@dragoman/http';
import { router } from '@dragoman/http-filter-router';
import { roundRobin } from '@dragoman/load-balancer-round-robin';
import { uuidRequestId } from '@dragoman/request-id-uuid';
import {
  clusterRoute,
  connectionInfo,
  HttpUpstream,
  httpBootstrap,
  requestHeaders,
  startProxy,
  testContext,
  text,
} from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { earlyHeaderMutation } from '../src/index.ts';

const created = (config: object) =>
  earlyHeaderMutation.create(
    readLoose(EarlyHeaderMutationHeaderMutationSchema, config) as never,
    testContext(),
  );

it('applies its mutations in order, and lets the next extension run', () => {
  const headers = requestHeaders({ 'x-a': '1', 'x-b': '2', 'x-tmp-1': '3' });
  const goOn = created({
    mutations: [
      { remove: 'x-a' },
      { append: { header: { key: 'x-b', value: '3' }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' } },
      { append: { header: { key: 'x-c' }, keep_empty_value: true } },
      { remove_on_match: { key_matcher: { prefix: 'x-tmp-' } } },
    ],
  }).mutate(headers, new StreamInfo(connectionInfo(), 0, 0));
  expect(goOn).toBe(true);
  expect(headers.entries().filter(([name]) => name.startsWith('x-'))).toEqual([
    ['x-b', '3'],
    ['x-c', ''],
  ]);
});

it('names the place of what is wrong', () => {
  expect(() => created({ mutations: [{ remove: 'x-a' }, { remove: ':path' }] })).toThrow(
    expect.objectContaining({
      message: 'mutations[1].remove: :-prefixed or host headers may not be removed',
    }),
  );
});

describe('in a proxy', () => {
  it.each<[string, object[], string[], string, string | undefined]>([
    [
      'a value that is worked out from the request',
      [{ append: { header: { key: 'x-copy', value: '%REQ(x-a)%-%REQ(:path)%' } } }],
      ['x-a: 1'],
      'x-copy',
      '1-/p',
    ],
    ['before the route is found', [{ remove: 'x-route' }], ['x-route: b'], 'x-cluster', 'a'],
    [
      'nothing of it stays that strangers may not send',
      [{ append: { header: { key: 'x-envoy-max-retries', value: '9' } } }],
      [],
      'x-envoy-max-retries',
      undefined,
    ],
  ])('%s', async (_what, mutations, lines, name, expected) => {
    await using upstream = await HttpUpstream.start(text('ok'));
    await using proxy = await startProxy(
      httpBootstrap({
        clusters: { a: upstream.port, b: upstream.port },
        routes: [
          {
            ...clusterRoute('/', 'b'),
            match: { prefix: '/', headers: [{ name: 'x-route', present_match: true }] },
            request_headers_to_add: [{ header: { key: 'x-cluster', value: 'b' } }],
          },
          {
            ...clusterRoute('/', 'a'),
            request_headers_to_add: [{ header: { key: 'x-cluster', value: 'a' } }],
          },
        ],
        manager: {
          early_header_mutation_extensions: [
            {
              name: 'envoy.http.early_header_mutation.header_mutation',
              typed_config: {
                '@type':
                  'type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation',
                mutations,
              },
            },
          ],
        } as never,
      }),
      {
        extensions: [
          earlyHeaderMutation,
          httpConnectionManager,
          router,
          roundRobin,
          staticDiscovery,
          uuidRequestId,
        ],
      },
    );
    await proxy.get('/p', ...lines);
    expect((await upstream.request()).header(name)).toBe(expected);
  });
});
