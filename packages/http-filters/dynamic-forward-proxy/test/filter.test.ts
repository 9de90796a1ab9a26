import {
  CaresDnsResolverConfigSchema,
  DynamicForwardProxyFilterConfigSchema,
  DynamicForwardProxyPerRouteConfigSchema,
  readLoose,
} from '@dragoman/api';
import {
  type Cluster,
  type CreateHttpFilter,
  defineDnsResolver,
  ExtensionRegistry,
  ResponseFlag,
  type SubClusterOutcome,
} from '@dragoman/core';
import {
  FakeDns,
  httpFilterConformance,
  requestHeaders,
  TestHttpStream,
  type TestContext,
  testContext,
} from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { dynamicForwardProxy } from '../src/index.ts';

const CACHE = { dns_cache_config: { name: 'main' } };
const config = (fields: object = CACHE) => readLoose(DynamicForwardProxyFilterConfigSchema, fields) as never;
const routeConfig = (fields: object) => readLoose(DynamicForwardProxyPerRouteConfigSchema, fields) as never;
const routeTo = (name: string) => ({ action: { kind: 'forward', clusterName: () => name } }) as never;

/** Clusters `forward` and `secure`, which are dynamic forward proxies, and `web`, which is none. */
function newContext(dns: FakeDns = new FakeDns()): TestContext {
  const type = 'envoy.clusters.dynamic_forward_proxy';
  const infos: Record<string, object> = {
    forward: { type, secure: false },
    secure: { type, secure: true },
    web: { type: 'envoy.cluster.static', secure: false },
    hosts: { type, name: 'hosts', secure: false, subClusterTtlMs: 300_000 },
  };
  const resolver = defineDnsResolver({
    name: 'envoy.network.dns_resolver.cares',
    config: CaresDnsResolverConfigSchema,
    create: () => dns,
  });
  return testContext({
    extensions: new ExtensionRegistry([resolver]),
    clusters: {
      get: (name) => (infos[name] === undefined ? undefined : ({ info: infos[name] } as Cluster)),
      clusterNames: Object.keys(infos),
    },
  });
}

httpFilterConformance(
  { describe, it },
  {
    extension: dynamicForwardProxy,
    config: config(),
    context: () => {
      const dns = new FakeDns();
      dns.set('shop.example', '10.0.0.1');
      return newContext(dns);
    },
    stream: { route: routeTo('web') },
    invalid: [
      { name: 'neither cache nor clusters', config: config({}), path: '' },
      {
        name: 'a cache without a name',
        config: config({ dns_cache_config: {} }),
        path: 'dns_cache_config.name',
      },
    ],
  },
);

function scene(fields: object = CACHE) {
  const dns = new FakeDns();
  dns.set('shop.example', '10.0.0.1');
  const context = newContext(dns);
  const create = dynamicForwardProxy.create(config(fields), context) as CreateHttpFilter;
  const send = (headers: Record<string, string>, cluster = 'forward', perRoute?: object) => {
    const stream = new TestHttpStream({
      request: requestHeaders(headers),
      route: routeTo(cluster),
      perRoute:
        perRoute === undefined ? [] : [dynamicForwardProxy.createPerRoute?.(routeConfig(perRoute), context)],
    });
    const filter = create(stream);
    const verdict = filter.onRequestHeaders?.(stream.requestHeaders, true);
    return { stream, filter, verdict };
  };
  const count = (name: string) => context.stats.value(`dns_cache.main.${name}`);
  return { dns, context, send, count };
}

async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await Promise.resolve();
}

describe('a request', () => {
  it('waits for its host the first time, and not the second', async () => {
    const { send, count } = scene();
    const first = send({ ':authority': 'shop.example' });
    expect(first.verdict).toBe('pause');
    expect(first.stream.calls).toEqual([]);
    await settle();
    expect(first.stream.calls).toEqual(['resumeRequest']);
    expect(first.stream.replies).toEqual([]);
    expect(send({ ':authority': 'shop.example:80' }).verdict).toBeUndefined();
    expect(count('dns_query_attempt')).toBe(1);
  });

  it('to TLS has another port, and so another host', async () => {
    const { send, count } = scene();
    send({ ':authority': 'shop.example' });
    await settle();
    expect(send({ ':authority': 'shop.example' }, 'secure').verdict).toBe('pause');
    await settle();
    expect(send({ ':authority': 'shop.example:443' }, 'forward').verdict).toBeUndefined();
    expect(count('num_hosts')).toBe(2);
  });

  it.each(['web', 'nobody'])('to the cluster %s goes on', (cluster) => {
    const { send, count } = scene();
    expect(send({ ':authority': 'shop.example' }, cluster, { host_rewrite_literal: 'x' })).toMatchObject({
      verdict: undefined,
      stream: { requestHeaders: { authority: 'shop.example' } },
    });
    expect(count('dns_query_attempt')).toBe(0);
  });

  it('without a route goes on', () => {
    const { context } = scene();
    const stream = new TestHttpStream();
    const filter = (dynamicForwardProxy.create(config(), context) as CreateHttpFilter)(stream);
    expect(filter.onRequestHeaders?.(stream.requestHeaders, true)).toBeUndefined();
  });

  it('that is over is not resumed', async () => {
    const { send, count } = scene();
    const { stream, filter } = send({ ':authority': 'shop.example' });
    filter.onComplete?.();
    expect(count('circuit_breakers.rq_pending_remaining')).toBe(1024);
    await settle();
    expect(stream.calls).toEqual([]);
    expect(stream.replies).toEqual([]);
  });

  it('may leave the address that was found in filter state', async () => {
    const { send } = scene({ ...CACHE, save_upstream_address: true });
    const { stream } = send({ ':authority': 'shop.example' });
    await settle();
    const state = stream.info.filterState.get('envoy.stream.upstream_address');
    expect(state?.toText?.()).toBe('10.0.0.1:80');
    expect(state?.lifeSpan).toBe('request');
    const later = send({ ':authority': 'shop.example' });
    expect(later.stream.info.filterState.has('envoy.stream.upstream_address')).toBe(true);
  });

  it('leaves nothing in filter state by default', async () => {
    const { send } = scene();
    const { stream } = send({ ':authority': 'shop.example' });
    await settle();
    expect(stream.info.hasFilterState).toBe(false);
  });
});

describe('the host that is resolved', () => {
  it.each<[string, object | undefined, Record<string, string>, string]>([
    ['is the request’s', undefined, {}, 'a.example'],
    ['is what the route says', { host_rewrite_literal: 'shop.example' }, {}, 'shop.example'],
    [
      'is what a header says',
      { host_rewrite_header: 'X-Host' },
      { 'x-host': 'shop.example' },
      'shop.example',
    ],
    ['is the request’s without the header', { host_rewrite_header: 'x-host' }, {}, 'a.example'],
    [
      'is the request’s with an empty header',
      { host_rewrite_header: 'x-host' },
      { 'x-host': '' },
      'a.example',
    ],
    ['is the request’s with nothing to rewrite', { host_rewrite_literal: '' }, {}, 'a.example'],
  ])('%s', async (_, perRoute, headers, host) => {
    const { dns, send, context } = scene();
    dns.set('a.example', '10.0.0.2');
    const { stream } = send({ ':authority': 'a.example', ...headers }, 'forward', perRoute);
    await settle();
    expect(stream.requestHeaders.authority).toBe(host);
    expect(stream.calls).toEqual(['resumeRequest']);
    expect(context.stats.value('dns_cache.main.num_hosts')).toBe(1);
    expect(send({ ':authority': host }).verdict).toBeUndefined();
  });

  it.each<[object, RegExp]>([
    [{ host_rewrite_literal: 'a b' }, /^host_rewrite_literal: "a b" is no host/],
    [{ host_rewrite_header: 'x a' }, /^host_rewrite_header: "x a" is no header name/],
  ])('of a route is checked: %j', (fields, message) => {
    expect(() => dynamicForwardProxy.createPerRoute?.(routeConfig(fields), testContext())).toThrow(message);
  });
});

describe('a request is answered', () => {
  it('when its host has no address, now and as long as that is known', async () => {
    const { dns, send } = scene();
    dns.fail('down.example');
    const first = send({ ':authority': 'down.example' });
    await settle();
    const later = send({ ':authority': 'down.example' });
    expect(later.verdict).toBe('pause');
    for (const { stream } of [first, later]) {
      expect(stream.replies).toEqual([
        { status: 503, body: 'DNS resolution failure', details: 'dns_resolution_failure{SERVFAIL}' },
      ]);
      expect(stream.info.hasResponseFlag(ResponseFlag.DnsResolutionFailed)).toBe(true);
      expect(stream.calls).toEqual([]);
    }
  });

  it.each<[string, object, string, number, string, string]>([
    ['the cache is full', { max_hosts: 1 }, 'b.example', 503, 'DNS cache overflow', 'dns_cache_overflow'],
    [
      'too many wait',
      { dns_cache_circuit_breaker: { max_pending_requests: 1 } },
      'b.example',
      503,
      'Dynamic forward proxy pending request overflow',
      'dynamic_forward_proxy_pending_request_overflow',
    ],
    ['it names no host', {}, '', 400, 'Empty host header', 'empty_host_header'],
  ])('when %s', (_, fields, authority, status, body, details) => {
    const { send } = scene({ dns_cache_config: { name: 'main', ...fields } });
    send({ ':authority': 'a.example' });
    const { stream, verdict } = send({ ':authority': authority });
    expect(verdict).toBe('pause');
    expect(stream.replies).toEqual([{ status, body, details }]);
  });
});

it('shares its cache with whoever names it, and takes no other settings', () => {
  const { context } = scene();
  expect(() => dynamicForwardProxy.create(config(), context)).not.toThrow();
  expect(() =>
    dynamicForwardProxy.create(config({ dns_cache_config: { name: 'main', max_hosts: 9 } }), context),
  ).toThrow(/^dns_cache_config: a DNS cache named "main" is there with other settings/);
});

describe('with a cluster for each host', () => {
  function subScene(fields: object = { sub_cluster_config: { cluster_init_timeout: '2s' } }) {
    const asked: string[] = [];
    const answers: ((outcome: SubClusterOutcome) => void)[] = [];
    let cancelled = 0;
    const there = new Set<string>();
    const context = {
      ...newContext(),
      subClusters: {
        request(parent: string, name: string, callback: (outcome: SubClusterOutcome) => void) {
          asked.push(`${parent} ${name}`);
          if (there.has(name)) return undefined;
          answers.push(callback);
          return { cancel: () => void cancelled++ };
        },
      },
    };
    const create = dynamicForwardProxy.create(config(fields), context) as CreateHttpFilter;
    const send = (authority: string, cluster = 'hosts') => {
      const stream = new TestHttpStream({
        request: requestHeaders({ ':authority': authority }),
        route: routeTo(cluster),
      });
      const filter = create(stream);
      return { stream, filter, verdict: filter.onRequestHeaders?.(stream.requestHeaders, true) };
    };
    return { context, asked, answers, there, send, cancelled: () => cancelled };
  }

  it('a request waits for its cluster, and not where that is there', () => {
    const { send, asked, answers, there, context } = subScene();
    const { stream, verdict } = send('Shop.example');
    expect(verdict).toBe('pause');
    answers[0]?.('ready');
    expect(stream.calls).toEqual(['resumeRequest']);
    there.add('DFPCluster:shop.example:8080');
    expect(send('shop.example:8080').verdict).toBeUndefined();
    expect(asked).toEqual(['hosts DFPCluster:shop.example:80', 'hosts DFPCluster:shop.example:8080']);
    context.clock.advance(10_000);
    expect(stream.replies).toEqual([]);
  });

  it.each<[SubClusterOutcome, string, string]>([
    ['overflow', 'Sub cluster overflow', 'sub_cluster_overflow'],
    ['gone', 'Dynamic forward proxy cluster is gone', 'dynamic_forward_proxy_cluster_is_gone'],
    ['refused', 'Sub cluster refused', 'sub_cluster_refused'],
  ])('a request is answered when main says %s', (outcome, body, details) => {
    const { send, answers, context } = subScene();
    const { stream } = send('shop.example');
    answers[0]?.(outcome);
    context.clock.advance(10_000);
    expect(stream.replies).toEqual([{ status: 503, body, details }]);
    expect(stream.calls).toEqual([]);
  });

  it('a request does not wait for longer than it is told', () => {
    const { send, context, cancelled } = subScene();
    const { stream } = send('shop.example');
    context.clock.advance(1999);
    expect(stream.replies).toEqual([]);
    context.clock.advance(1);
    expect(stream.replies).toEqual([
      { status: 503, body: 'Sub cluster warming timeout', details: 'sub_cluster_warming_timeout' },
    ]);
    expect(cancelled()).toBe(1);
  });

  it('a request waits for five seconds by default', () => {
    const { send, context } = subScene({ sub_cluster_config: {} });
    const { stream } = send('shop.example');
    context.clock.advance(4999);
    expect(stream.replies).toEqual([]);
    context.clock.advance(1);
    expect(stream.replies).toHaveLength(1);
  });

  it('a request that is over takes its question back', () => {
    const { send, context, cancelled } = subScene();
    const { stream, filter } = send('shop.example');
    filter.onComplete?.();
    expect(cancelled()).toBe(1);
    context.clock.advance(10_000);
    expect(stream.replies).toEqual([]);
  });

  it('a cluster that has a cache finds none', () => {
    const { send } = subScene();
    const { stream, verdict } = send('shop.example', 'forward');
    expect(verdict).toBe('pause');
    expect(stream.replies).toEqual([
      {
        status: 503,
        body: 'Dynamic forward proxy without DNS cache',
        details: 'dynamic_forward_proxy_no_dns_cache',
      },
    ]);
  });
});
