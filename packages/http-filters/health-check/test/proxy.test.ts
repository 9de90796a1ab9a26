import { staticDiscovery } from '@dragoman/discovery-static';
import { httpConnectionManager } from '@dragoman/http';
import { router } from '@dragoman/http-filter-router';
import { roundRobin } from '@dragoman/load-balancer-round-robin';
import { uuidRequestId } from '@dragoman/request-id-uuid';
import { httpBootstrap, type JsonObject, startProxy } from '@dragoman/testing';
import { rawBuffer } from '@dragoman/transport-socket-raw-buffer';
import { expect, it } from 'vitest';
import { healthCheck } from '../src/index.ts';

const extensions = [
  ...[httpConnectionManager, router, uuidRequestId, staticDiscovery, roundRobin, rawBuffer],
  healthCheck,
];

function start(config: JsonObject) {
  return startProxy(
    httpBootstrap({
      httpFilters: [
        {
          name: 'envoy.filters.http.health_check',
          typed_config: {
            '@type': 'type.googleapis.com/envoy.extensions.filters.http.health_check.v3.HealthCheck',
            headers: [{ name: ':path', string_match: { exact: '/healthz' } }],
            ...config,
          },
        },
      ],
      routes: [{ match: { prefix: '/' }, direct_response: { status: 204 } }],
    }),
    { extensions },
  );
}

it('answers in the place of the upstream, and leaves health checks out of the stats', async () => {
  await using proxy = await start({ pass_through_mode: false });
  expect((await proxy.get('/healthz')).status).toBe(200);
  expect(await proxy.get('/other')).toMatchObject({ status: 204 });
  expect(proxy.stat('http.ingress.health_check.ok')).toBe(1);
  expect(proxy.stat('http.ingress.downstream_rq_2xx')).toBe(1);
});

it('answers once the body has come, and goes on with the connection', async () => {
  await using proxy = await start({ pass_through_mode: false });
  const post = `POST /healthz HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello`;
  const chunked = `POST /healthz HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n0\r\nx: y\r\n\r\n`;
  const last = 'GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n';
  const answer = await proxy.exchange(post, chunked, last);
  expect(answer.match(/HTTP\/1\.1 200 OK/g)?.length).toBe(3);
  expect(proxy.stat('http.ingress.health_check.request_total')).toBe(3);
});

it('does what /healthcheck/fail says, until /healthcheck/ok', async () => {
  await using proxy = await start({ pass_through_mode: true });
  expect((await proxy.get('/healthz')).status).toBe(204);
  await proxy.admin('/healthcheck/fail', 'POST');
  expect((await proxy.get('/healthz')).status).toBe(503);
  expect((await proxy.get('/other')).header('x-envoy-immediate-health-check-fail')).toBe('true');
  await proxy.admin('/healthcheck/ok', 'POST');
  expect((await proxy.get('/healthz')).status).toBe(204);
});
