import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { CaresDnsResolverConfigSchema } from '@dragoman/api';
import { defineDnsResolver } from '@dragoman/core';
import { dynamicForwardProxyCluster } from '@dragoman/discovery-dynamic-forward-proxy';
import { staticDiscovery } from '@dragoman/discovery-static';
import { httpConnectionManager, upstreamCodec } from '@dragoman/http';
import { router } from '@dragoman/http-filter-router';
import { clusterProvided } from '@dragoman/load-balancer-cluster-provided';
import { roundRobin } from '@dragoman/load-balancer-round-robin';
import { uuidRequestId } from '@dragoman/request-id-uuid';
import {
  clusterRoute,
  FakeDns,
  HttpUpstream,
  httpBootstrap,
  type JsonObject,
  startProxy,
  TestAuthority,
  text,
} from '@dragoman/testing';
import { tls } from '@dragoman/transport-socket-tls';
import { describe, expect, test } from 'vitest';
import { dynamicForwardProxy } from '../src/index.ts';
import { cluster, filter, NAME, TYPES } from './config-parts.ts';

function rewritten(prefix: string, host: string): JsonObject {
  return {
    ...clusterRoute(prefix, 'anywhere'),
    typed_per_filter_config: {
      [NAME]: {
        '@type': `${TYPES}.filters.http.dynamic_forward_proxy.v3.PerRouteConfig`,
        host_rewrite_literal: host,
      },
    },
  };
}

async function start(
  routes: readonly JsonObject[] = [],
  filterCache: JsonObject = {},
  clusterFields: JsonObject = {},
) {
  const dns = new FakeDns();
  const cares = defineDnsResolver({
    name: 'envoy.network.dns_resolver.cares',
    config: CaresDnsResolverConfigSchema,
    create: () => dns,
  });
  const proxy = await startProxy(
    httpBootstrap({
      clusters: { anywhere: { ...cluster(), ...clusterFields } },
      routes: [...routes, clusterRoute('/', 'anywhere')],
      httpFilters: [filter(filterCache)],
    }),
    {
      extensions: [
        httpConnectionManager,
        upstreamCodec,
        router,
        clusterProvided,
        roundRobin,
        staticDiscovery,
        dynamicForwardProxyCluster,
        dynamicForwardProxy,
        uuidRequestId,
        cares,
        tls,
      ],
    },
  );
  return { dns, proxy };
}

describe('in a proxy', () => {
  test('requests go to the hosts that they name', async () => {
    await using one = await HttpUpstream.start(text('one'));
    await using other = await HttpUpstream.start(text('other'));
    const { dns, proxy } = await start([rewritten('/one', `shop.example:${one.port}`)]);
    await using running = proxy;
    dns.set('shop.example', '127.0.0.1');
    expect((await running.get('/', `host: shop.example:${other.port}`)).body.toString()).toBe('other');
    expect((await running.get('/one', 'host: nobody.example')).body.toString()).toBe('one');
    expect((await running.get('/one', 'host: nobody.example')).body.toString()).toBe('one');
    expect(one.requests[0].header('host')).toBe(`shop.example:${one.port}`);
    expect(running.stat('dns_cache.main.dns_query_attempt')).toBe(2);
    expect(running.stat('dns_cache.main.num_hosts')).toBe(2);
    expect(running.stat('cluster.anywhere.membership_total')).toBe(2);
    const lines = (await running.admin('/clusters')).body.toString().split('\n');
    expect(lines).toContain(`anywhere::127.0.0.1:${one.port}::hostname::shop.example:${one.port}`);
    expect(lines).toContain(`anywhere::127.0.0.1:${one.port}::rq_success::2`);
  });

  test('a body waits with its request', async () => {
    await using upstream = await HttpUpstream.start(text('got it'));
    const { dns, proxy } = await start();
    await using running = proxy;
    dns.set('shop.example', '127.0.0.1');
    const body = 'x'.repeat(100_000);
    const response = await running.send('POST', '/', [`host: shop.example:${upstream.port}`], body);
    expect(response.status).toBe(200);
    expect((await upstream.requests[0].body).length).toBe(body.length);
  });

  test('a name that is not found is answered', async () => {
    const { dns, proxy } = await start();
    await using running = proxy;
    dns.fail('down.example');
    const response = await running.get('/', 'host: down.example');
    expect(response.status).toBe(503);
    expect(response.body.toString()).toBe('DNS resolution failure');
    expect(running.stat('dns_cache.main.dns_query_failure')).toBe(1);
    expect((await running.get('/', 'host: empty.example')).status).toBe(503);
    expect(running.stat('dns_cache.main.dns_query_success')).toBe(1);
  });

  test('whoever answers has to be who was asked for', async () => {
    const root = TestAuthority.root();
    const leaf = root.issue({ san: [{ dns: 'shop.example' }] });
    const names: TLSSocket['servername'][] = [];
    const upstream = createServer({ key: leaf.keyPem, cert: leaf.chainPem }, (request, response) => {
      names.push((request.socket as TLSSocket).servername);
      response.end('sure');
    });
    await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
    const { port } = upstream.address() as AddressInfo;
    const { dns, proxy } = await start(
      [],
      {},
      {
        transport_socket: {
          name: 'envoy.transport_sockets.tls',
          typed_config: {
            '@type': `${TYPES}.transport_sockets.tls.v3.UpstreamTlsContext`,
            common_tls_context: { validation_context: { trusted_ca: { inline_string: root.pem } } },
          },
        },
      },
    );
    await using running = proxy;
    dns.set('shop.example', '127.0.0.1');
    dns.set('thief.example', '127.0.0.1');
    expect((await running.get('/', `host: shop.example:${port}`)).body.toString()).toBe('sure');
    expect(names).toEqual(['shop.example']);
    const response = await running.get('/', `host: thief.example:${port}`);
    expect(response.status).toBe(503);
    expect(names).toHaveLength(1);
    upstream.closeAllConnections();
    upstream.close();
  });

  test('filter and cluster have to agree on their cache', async () => {
    await expect(start([], { max_hosts: 7 })).rejects.toThrow(
      /http_filters\[0\]\.typed_config\.dns_cache_config: a DNS cache named "main" is there with other settings/,
    );
  });
});
