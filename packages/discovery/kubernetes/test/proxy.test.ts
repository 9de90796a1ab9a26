import { httpConnectionManager } from '@dragoman/http';
import { router } from '@dragoman/http-filter-router';
import { roundRobin } from '@dragoman/load-balancer-round-robin';
import { uuidRequestId } from '@dragoman/request-id-uuid';
import { HttpUpstream, httpBootstrap, ManualApi, startProxy, text, trackLeaks } from '@dragoman/testing';
import { expect, it } from 'vitest';
import { kubernetes } from '../src/index.ts';
import { endpoint, event, list, slice } from './support/slices.ts';

const extensions = [httpConnectionManager, router, roundRobin, uuidRequestId, kubernetes];

it('gives a proxy its hosts, from the warming on, and leaves nothing behind', async () => {
  const leaks = trackLeaks();
  {
    await using api = await ManualApi.start();
    await using upstream = await HttpUpstream.start(text('hello'));
    const ports = [{ name: 'http', port: upstream.port }];
    const web = {
      cluster_type: {
        name: 'dragoman.clusters.kubernetes',
        typed_config: {
          '@type': 'type.googleapis.com/dragoman.clusters.kubernetes.v1.KubernetesCluster',
          service: 'web',
          namespace: 'shop',
          port_name: 'http',
          api_server: { url: api.url },
        },
      },
    };
    const starting = startProxy(httpBootstrap({ clusters: { web } }), { extensions });
    (await api.next()).answer(list([slice('web-1', [endpoint('127.0.0.1')], { ports })]));
    await using proxy = await starting;
    const response = await proxy.get('/');
    expect([response.status, response.body.toString()]).toEqual([200, 'hello']);
    const watch = await api.next();
    watch.begin();
    watch.write(event('DELETED', slice('web-1', [])));
    await proxy.untilStat('cluster.web.membership_total', 0);
    expect((await proxy.get('/')).status).toBe(503);
  }
  await leaks.expectNone();
});
