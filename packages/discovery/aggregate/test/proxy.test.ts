import { staticDiscovery } from '@dragoman/discovery-static';
import { httpConnectionManager, upstreamCodec } from '@dragoman/http';
import { router } from '@dragoman/http-filter-router';
import { clusterProvided } from '@dragoman/load-balancer-cluster-provided';
import { roundRobin } from '@dragoman/load-balancer-round-robin';
import { uuidRequestId } from '@dragoman/request-id-uuid';
import { previousPriorities } from '@dragoman/retry-policy-previous-priorities';
import {
  clusterRoute,
  HttpUpstream,
  httpBootstrap,
  type JsonObject,
  lbEndpoint,
  refusedPort,
  startProxy,
  text,
} from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { aggregateCluster } from '../src/index.ts';

const extensions = [
  httpConnectionManager,
  upstreamCodec,
  router,
  clusterProvided,
  roundRobin,
  staticDiscovery,
  previousPriorities,
  aggregateCluster,
  uuidRequestId,
];

function everywhere(...clusters: string[]): JsonObject {
  return {
    connect_timeout: '1s',
    lb_policy: 'CLUSTER_PROVIDED',
    cluster_type: {
      name: 'envoy.clusters.aggregate',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.clusters.aggregate.v3.ClusterConfig',
        clusters,
      },
    },
  };
}

/** One endpoint in each priority. */
function endpoints(name: string, ...list: [port: number, health: string][]): JsonObject {
  return {
    load_assignment: {
      cluster_name: name,
      endpoints: list.map(([port, health], priority) => ({
        priority,
        lb_endpoints: [{ ...lbEndpoint('127.0.0.1', port), health_status: health }],
      })),
    },
  };
}

describe('in a proxy', () => {
  test('requests fail over from one cluster to the next, with the connections of each', async () => {
    await using upstream = await HttpUpstream.start(text('there'));
    const dead = await refusedPort();
    const bootstrap = httpBootstrap({
      clusters: {
        everywhere: everywhere('here', 'nowhere', 'there'),
        here: endpoints('here', [dead, 'UNHEALTHY'], [dead, 'UNHEALTHY']),
        there: endpoints('there', [dead, 'UNHEALTHY'], [upstream.port, 'HEALTHY']),
      },
    });
    await using proxy = await startProxy(bootstrap, { extensions });
    const response = await proxy.get('/');
    expect(response.status).toBe(200);
    expect(response.body.toString()).toBe('there');
    expect(proxy.stat('cluster.there.upstream_cx_total')).toBe(1);
    expect(proxy.stat('cluster.there.upstream_rq_total')).toBe(1);
    expect(proxy.stat('cluster.everywhere.upstream_cx_total')).toBe(0);
    expect(proxy.stat('cluster.everywhere.upstream_rq_200')).toBe(1);
    const lines = (await proxy.admin('/clusters')).body.toString().split('\n');
    expect(lines).toContain(`there::127.0.0.1:${upstream.port}::rq_success::1`);
    expect(lines.filter((line) => line.startsWith('everywhere::127'))).toEqual([]);
  });

  test('a retry goes to the next cluster', async () => {
    await using upstream = await HttpUpstream.start(text('there'));
    const dead = await refusedPort();
    const retry: JsonObject = {
      retry_on: 'connect-failure',
      num_retries: 2,
      retry_priority: {
        name: 'envoy.retry_priorities.previous_priorities',
        typed_config: {
          '@type':
            'type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig',
          update_frequency: 1,
        },
      },
      retry_back_off: { base_interval: '0.001s' },
    };
    const bootstrap = httpBootstrap({
      clusters: {
        everywhere: everywhere('here', 'there'),
        here: endpoints('here', [dead, 'HEALTHY'], [dead, 'HEALTHY']),
        there: endpoints('there', [upstream.port, 'HEALTHY']),
      },
      routes: [clusterRoute('/', 'everywhere', { retry_policy: retry })],
    });
    await using proxy = await startProxy(bootstrap, { extensions });
    expect((await proxy.get('/')).body.toString()).toBe('there');
    expect(proxy.stat('cluster.here.upstream_cx_connect_fail')).toBe(2);
    expect(proxy.stat('cluster.everywhere.upstream_rq_retry')).toBe(2);
    expect(proxy.stat('cluster.everywhere.upstream_rq_retry_success')).toBe(1);
  });

  test('without any host a request has none, and the aggregate counts it', async () => {
    const bootstrap = httpBootstrap({
      clusters: { everywhere: everywhere('here'), here: endpoints('here') },
    });
    await using proxy = await startProxy(bootstrap, { extensions });
    expect((await proxy.get('/')).status).toBe(503);
    expect(proxy.stat('cluster.everywhere.upstream_cx_none_healthy')).toBe(1);
    expect(proxy.stat('cluster.here.upstream_cx_none_healthy')).toBe(0);
  });

  test('another policy is refused', async () => {
    const bootstrap = httpBootstrap({
      clusters: { everywhere: { ...everywhere('here'), lb_policy: 'ROUND_ROBIN' } },
    });
    await expect(startProxy(bootstrap, { extensions })).rejects.toThrow(
      /clusters\[0\]\.lb_policy: ROUND_ROBIN is not possible: clusters of type envoy\.clusters\.aggregate choose their hosts themselves; set lb_policy: CLUSTER_PROVIDED/,
    );
  });
});
