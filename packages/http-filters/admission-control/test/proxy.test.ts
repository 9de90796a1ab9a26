import { type AccessLoggerExtension, type LogContext, responseFlagsShort } from '@dragoman/core';
import { staticDiscovery } from '@dragoman/discovery-static';
import { httpConnectionManager, upstreamCodec } from '@dragoman/http';
import { router } from '@dragoman/http-filter-router';
import { roundRobin } from '@dragoman/load-balancer-round-robin';
import { uuidRequestId } from '@dragoman/request-id-uuid';
import {
  eventually,
  FakeClock,
  type HttpBootstrapOptions,
  HttpUpstream,
  httpBootstrap,
  type JsonObject,
  loadAssignment,
  SeededRandom,
  startProxy,
  text,
} from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { admissionControl } from '../src/index.ts';

const FILTER: JsonObject = {
  name: 'envoy.filters.http.admission_control',
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.filters.http.admission_control.v3.AdmissionControl',
    success_criteria: {},
    sampling_window: '10s',
    max_rejection_probability: { default_value: { value: 100 }, runtime_key: 'admission.max' },
  },
};

async function start(options: HttpBootstrapOptions) {
  const clock = new FakeClock();
  const logged: LogContext[] = [];
  const capture: AccessLoggerExtension = {
    category: 'access-loggers',
    name: 'capture',
    create: () => ({ log: (context) => void logged.push(context) }),
  };
  const proxy = await startProxy(
    httpBootstrap({ ...options, manager: { access_log: [{ name: 'capture' }] } }),
    {
      clock,
      random: new SeededRandom(3),
      extensions: [
        httpConnectionManager,
        upstreamCodec,
        router,
        roundRobin,
        staticDiscovery,
        uuidRequestId,
        capture,
        admissionControl,
      ],
    },
  );
  const send = async (count: number, ...lines: readonly string[]): Promise<number[]> => {
    const statuses: number[] = [];
    for (let i = 0; i < count; i++) statuses.push((await proxy.get('/', ...lines)).status);
    return statuses;
  };
  return { proxy, clock, logged, send };
}

describe('in a proxy', () => {
  test('a failing upstream gets ever fewer requests, until it has recovered', async () => {
    await using upstream = await HttpUpstream.start(text('down', 500));
    const { proxy, clock, logged, send } = await start({
      clusters: { web: upstream.port },
      httpFilters: [FILTER],
    });
    await using running = proxy;
    const stat = (name: string) => running.stat(`http.ingress.admission_control.${name}`);
    const statuses = await send(60);
    const forwarded = statuses.filter((status) => status === 500).length;
    // The k-th failure goes through with a probability of 1/k: a few of 60 do.
    expect(forwarded).toBeGreaterThan(1);
    expect(forwarded).toBeLessThan(20);
    expect(upstream.requests).toHaveLength(forwarded);
    expect([stat('rq_rejected'), stat('rq_success'), stat('rq_failure')]).toEqual([
      60 - forwarded,
      0,
      forwarded,
    ]);
    await eventually(() => logged.length === 60);
    const rejection = logged.find(({ info }) => info.responseCode === 503);
    expect(rejection?.info.responseCodeDetails).toBe('denied_by_admission_control');
    expect(responseFlagsShort(rejection?.info.responseFlags ?? -1)).toBe('-');
    upstream.answer = text('up');
    clock.advance(10_000);
    expect(await send(20)).toEqual(Array(20).fill(200));
  });

  test('a gRPC call that is rejected is answered as one', async () => {
    await using upstream = await HttpUpstream.start(text('down', 500));
    const { proxy, send } = await start({ clusters: { web: upstream.port }, httpFilters: [FILTER] });
    await using running = proxy;
    await send(60);
    let reply = await running.get('/a.B/C', 'content-type: application/grpc');
    while (reply.status !== 200) reply = await running.get('/a.B/C', 'content-type: application/grpc');
    expect(reply.header('grpc-status')).toBe('14');
    expect(reply.body.toString()).toBe('');
  });

  test('upstream it rejects tries, under the stats of the cluster', async () => {
    await using upstream = await HttpUpstream.start(text('down', 500));
    const codec: JsonObject = {
      name: 'envoy.filters.http.upstream_codec',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec',
      },
    };
    const { proxy, send } = await start({
      clusters: {
        web: {
          load_assignment: loadAssignment('web', [upstream.port]),
          typed_extension_protocol_options: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
              '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
              explicit_http_config: { http_protocol_options: {} },
              http_filters: [FILTER, codec],
            },
          },
        },
      },
    });
    await using running = proxy;
    const statuses = await send(40);
    const forwarded = statuses.filter((status) => status === 500).length;
    expect(forwarded).toBeLessThan(40);
    expect(upstream.requests).toHaveLength(forwarded);
    const stat = (name: string) => running.stat(`cluster.web.admission_control.${name}`);
    expect([stat('rq_rejected'), stat('rq_success'), stat('rq_failure')]).toEqual([
      40 - forwarded,
      0,
      forwarded,
    ]);
  });
});
