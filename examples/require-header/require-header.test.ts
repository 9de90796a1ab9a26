import { create, HeaderMatcherSchema } from '@dragoman/api';
import { httpFilterConformance, HttpUpstream, httpBootstrap, startProxy, text } from '@dragoman/testing';
import { extensions } from 'dragoman';
import { describe, expect, it, test } from 'vitest';
import { requireHeader } from './filter.ts';

const TYPE = 'type.googleapis.com/envoy.config.route.v3.HeaderMatcher';
const matcher = (name: string, value: string) => ({
  '@type': TYPE,
  name,
  string_match: { exact: value },
});

httpFilterConformance(
  { describe, it },
  {
    extension: requireHeader,
    config: create(HeaderMatcherSchema, { name: 'x-token' }),
    invalid: [
      { name: 'a name with a space', config: create(HeaderMatcherSchema, { name: 'x token' }), path: 'name' },
    ],
  },
);

test('in a proxy: denied without the header, forwarded with it, a route has its own', async () => {
  await using upstream = await HttpUpstream.start(text('hello'));
  const cluster = { cluster: 'web' };
  await using proxy = await startProxy(
    httpBootstrap({
      clusters: { web: upstream.port },
      httpFilters: [
        { name: 'dragoman.filters.http.require_header', typed_config: matcher('x-token', 'secret') },
      ],
      routes: [
        {
          match: { prefix: '/admin' },
          route: cluster,
          typed_per_filter_config: { 'dragoman.filters.http.require_header': matcher('x-role', 'admin') },
        },
        { match: { prefix: '/' }, route: cluster },
      ],
    }),
    { extensions: [...extensions, requireHeader] },
  );

  expect((await proxy.get('/')).status).toBe(403);
  expect((await proxy.get('/', 'x-token: secret')).status).toBe(200);
  expect((await proxy.get('/admin', 'x-token: secret')).status).toBe(403);
  expect((await proxy.get('/admin', 'x-role: admin')).status).toBe(200);
  expect(proxy.stat('http.ingress.require_header.denied')).toBe(2);
  expect(upstream.requests).toHaveLength(2);
});
