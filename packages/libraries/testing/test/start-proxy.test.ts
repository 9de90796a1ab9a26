import { httpConnectionManager } from '@dragoman/http';
import { router } from '@dragoman/http-filter-router';
import { roundRobin } from '@dragoman/load-balancer-round-robin';
import { staticDiscovery } from '@dragoman/discovery-static';
import { uuidRequestId } from '@dragoman/request-id-uuid';
import { describe, expect, test } from 'vitest';
import { clusterRoute, HttpUpstream, httpBootstrap, startProxy, text, trackLeaks } from '../src/index.ts';

const extensions = [httpConnectionManager, router, roundRobin, staticDiscovery, uuidRequestId];

describe('startProxy', () => {
  test('serves what httpBootstrap describes, and leaves nothing behind', async () => {
    const leaks = trackLeaks();
    {
      await using upstream = await HttpUpstream.start(text('hello'));
      await using proxy = await startProxy(httpBootstrap({ clusters: { web: upstream.port } }), {
        extensions,
      });
      const response = await proxy.get('/path', 'x-a: 1');
      expect([response.status, response.body.toString()]).toEqual([200, 'hello']);
      expect((await upstream.request()).header('x-a')).toBe('1');
      expect(proxy.stat('http.ingress.downstream_rq_total')).toBe(1);
      await proxy.untilStat('http.ingress.downstream_cx_active', 0);
      expect((await proxy.admin('/ready')).body.toString()).toBe('LIVE\n');
      expect(proxy.log.find('admin address: 127.0.0.1:')).toHaveLength(1);
      expect(() => proxy.stat('no.such')).toThrow('no counter or gauge no.such');
    }
    await leaks.expectNone();
  });

  test('routes of its own, no admin, YAML text', async () => {
    await using proxy = await startProxy(
      httpBootstrap({ clusters: { a: 1 }, routes: [clusterRoute('/only', 'a')], admin: false }),
      { extensions },
    );
    expect((await proxy.send('POST', '/other', [], 'body')).status).toBe(404);
    await expect(proxy.admin('/ready')).rejects.toThrow('no admin interface');
    await using empty = await startProxy('static_resources: {}', { extensions });
    expect(empty.proxy.listeners).toEqual([]);
  });
});
