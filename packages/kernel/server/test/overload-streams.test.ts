import { type LogContext, OverloadActionName, responseFlagsShort } from '@dragoman/core';
import {
  eventually,
  FrameConnection,
  frames,
  HttpUpstream,
  httpBootstrap,
  reply,
  requestText,
  startProxy,
  type TestProxy,
} from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { captureLogger, EXTENSIONS } from './extensions.ts';
import { Pressure } from './support/pressure.ts';

const RESET = OverloadActionName.resetHighMemoryStream;
const COUNT = `${RESET}.count`;
const THREADS = { extensions: new URL('./thread-extensions.ts', import.meta.url) };
const CLASS_0 = 5000;
/** More than a client takes at once without a word, on either protocol. */
const LARGE = 32 * 1024 * 1024;
const ENHANCE_YOUR_CALM = 11;

const upstreamOf = (): Promise<HttpUpstream> =>
  HttpUpstream.start((exchange) =>
    reply({ body: Buffer.alloc(exchange.request.path === '/large' ? LARGE : CLASS_0, 'x') })(exchange),
  );

function start(
  pressure: Pressure,
  upstream: HttpUpstream,
  { logged, workers }: { logged?: LogContext[]; workers?: number } = {},
): Promise<TestProxy> {
  const bootstrap = httpBootstrap({
    clusters: { web: upstream.port },
    manager: logged === undefined ? {} : { access_log: [{ name: 'capture' }] },
  });
  const triggers = [
    {
      name: 'envoy.resource_monitors.injected_resource',
      scaled: { scaling_threshold: 0.5, saturation_threshold: 1 },
    },
  ];
  return startProxy(
    {
      ...bootstrap,
      ...pressure.manager({
        actions: [{ name: RESET, triggers }],
        fields: { buffer_factory_config: { minimum_account_to_track_power_of_two: 12 } },
      }),
    },
    workers === undefined
      ? { extensions: logged === undefined ? EXTENSIONS : [...EXTENSIONS, captureLogger(logged)] }
      : { extensions: EXTENSIONS, threads: THREADS, flags: { concurrency: workers } },
  );
}

const inShort = ({ info }: LogContext): string =>
  `${info.responseCode} ${info.responseCodeDetails} ${responseFlagsShort(info.responseFlags)}`;

/** A client that reads nothing of a large response, and asks for two small ones behind it. */
async function slowReader(proxy: TestProxy): Promise<FrameConnection> {
  const client = await FrameConnection.connect({ port: proxy.port });
  client.begin();
  client.request(1, { ':path': '/large' });
  await eventually(() => proxy.stat('cluster.web.upstream_flow_control_paused_reading_total') > 0);
  for (const id of [3, 5]) client.request(id, { ':path': '/small' });
  await proxy.untilStat('http.ingress.downstream_rq_2xx', 3);
  await proxy.untilStat('http.ingress.downstream_rq_active', 1);
  return client;
}

describe('HTTP/2', () => {
  test('the stream that holds most is reset, and those that hold little live', async () => {
    using pressure = new Pressure();
    await using upstream = await upstreamOf();
    const logged: LogContext[] = [];
    await using proxy = await start(pressure, upstream, { logged });
    await using client = await slowReader(proxy);
    expect(proxy.stat(COUNT)).toBe(0);
    // Classes 2 to 7: 16 KiB and more.
    pressure.set(0.85);
    await proxy.untilStat(COUNT, 1);
    await client.until(() => client.response(1).reset !== undefined);
    expect(client.response(1).reset).toBe(ENHANCE_YOUR_CALM);
    expect(proxy.stat('http.ingress.downstream_rq_rx_reset')).toBe(1);
    expect(proxy.stat('http.ingress.downstream_rq_active')).toBe(0);
    expect(proxy.stat('http2.tx_reset')).toBe(1);
    await proxy.untilStat('cluster.web.upstream_rq_active', 0);
    expect(proxy.stat('cluster.web.upstream_rq_tx_reset')).toBe(1);
    expect(logged.map(inShort)).toEqual(['200 via_upstream -', '200 via_upstream -', '200 overload OM']);
    expect(proxy.log.find('worker_0 is short of memory: it has reset 1 downstream streams')).toHaveLength(1);
    client.send(frames.windowUpdate(0, 1024 * 1024));
    for (const id of [3, 5]) expect((await client.complete(id)).body.length).toBe(CLASS_0);
    await proxy.untilStat(`overload.${RESET}.scale_percent`, 70);
    expect(proxy.stat(COUNT)).toBe(1);
  });

  test('responses that are complete here and that nobody takes count, too', async () => {
    using pressure = new Pressure();
    await using upstream = await upstreamOf();
    await using proxy = await start(pressure, upstream);
    await using client = await slowReader(proxy);
    pressure.set(1);
    await proxy.untilStat(COUNT, 3);
    for (const id of [1, 3, 5]) {
      await client.until(() => client.response(id).reset !== undefined);
      expect(client.response(id).reset).toBe(ENHANCE_YOUR_CALM);
    }
    expect(proxy.stat('http.ingress.downstream_rq_rx_reset')).toBe(1);
    // The connection goes on.
    client.send(frames.windowUpdate(0, 1024 * 1024));
    client.request(7, { ':path': '/small' });
    expect((await client.complete(7)).body.length).toBe(CLASS_0);
  });
});

test.each([undefined, 2])('HTTP/1, with %s threads of workers: the connection ends', async (workers) => {
  using pressure = new Pressure();
  await using upstream = await upstreamOf();
  await using proxy = await start(pressure, upstream, workers === undefined ? {} : { workers });
  await using slow = await proxy.connect();
  slow.socket.pause();
  await slow.write(requestText('GET', '/large'));
  await eventually(() => proxy.stat('cluster.web.upstream_flow_control_paused_reading_total') > 0);
  pressure.set(1);
  await proxy.untilStat(COUNT, 1);
  slow.socket.resume();
  await slow.readUntilClose().catch(() => '');
  expect(slow.bytesReceived).toBeLessThan(LARGE);
  await proxy.untilStat('http.ingress.downstream_cx_active', 0);
  expect(proxy.stat('http.ingress.downstream_rq_active')).toBe(0);
  expect((await proxy.get('/small')).status).toBe(200);
});

test('a size without the action is warned about', async () => {
  using pressure = new Pressure();
  const fields = { buffer_factory_config: { minimum_account_to_track_power_of_two: 20 } };
  await using proxy = await startProxy(
    { ...httpBootstrap(), ...pressure.manager({ fields }) },
    { extensions: EXTENSIONS },
  );
  expect(proxy.log.find('has no effect: it is for the action')).toHaveLength(1);
});
