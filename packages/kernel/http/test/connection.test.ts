import type { TerminalHttpStream } from '@dragoman/core';
import { describe, expect, test, vi } from 'vitest';
import { ask, ManagerRig, ok, respond } from './manager-rig.ts';

/** Takes requests and answers none by itself. */
const silent = { headers() {} };
const GET = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';

describe('requests on a connection', () => {
  test('keep-alive: one after another', async () => {
    const rig = new ManagerRig();
    for (const path of ['/a', '/b', '/c']) await rig.request(`GET ${path} HTTP/1.1`);
    expect(rig.responses().map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(rig.upstream).toEqual(['GET /a', 'complete', 'GET /b', 'complete', 'GET /c', 'complete']);
    expect(rig.closed).toBe(false);
    expect([rig.stat('downstream_rq_total'), rig.stat('downstream_cx_total')]).toEqual([3, 1]);
    expect([rig.stat('downstream_rq_2xx'), rig.stat('downstream_rq_http1_total')]).toEqual([3, 3]);
    expect(rig.stat('downstream_cx_http1_active')).toBe(1);
  });

  test('pipelined requests are answered in order, one at a time', async () => {
    const rig = new ManagerRig({ upstream: silent });
    await rig.send(['/1', '/2', '/3'].map((path) => GET.replace('/', path)).join(''));
    for (const n of [1, 2, 3]) {
      expect(rig.streams).toHaveLength(n);
      ok(rig.streams[n - 1] as TerminalHttpStream, `answer ${n}`);
      await rig.run();
    }
    expect(rig.responses().map(({ body }) => body.toString())).toEqual(['answer 1', 'answer 2', 'answer 3']);
    expect(rig.stat('downstream_rq_active')).toBe(0);
  });

  test('bodies and trailers go to the terminal filter as they come', async () => {
    const rig = new ManagerRig({ manager: { http_protocol_options: { enable_trailers: true } } });
    await rig.request('POST / HTTP/1.1', 'content-length: 4');
    await rig.send('ab', 'cd');
    await rig.request('POST /chunks HTTP/1.1', 'transfer-encoding: chunked');
    await rig.send('2\r\nef\r\n', '0\r\nx-t: 1\r\n\r\n');
    expect(rig.upstream).toEqual([
      'POST /',
      'body:ab',
      'body:cd!',
      'complete',
      'POST /chunks',
      'body:ef',
      'trailers',
      'complete',
    ]);
    expect(rig.context.logged.map(({ info }) => [info.bytesReceived, info.bytesSent])).toEqual([
      [4, 2],
      [2, 2],
    ]);
  });

  test('expect: 100-continue is answered by the proxy, and taken off', async () => {
    const rig = new ManagerRig({
      upstream: {
        headers() {},
        body(stream, _chunk, end) {
          if (end) ok(stream);
          return true;
        },
      },
    });
    await rig.request('POST / HTTP/1.1', 'content-length: 2', 'expect: 100-continue');
    expect(rig.client.take()).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    await rig.send('hi');
    expect(rig.response.status).toBe(200);
    expect(rig.requests[0]?.get('expect')).toBeUndefined();
  });

  test('with proxy_100_continue it goes upstream, and what comes back is passed on', async () => {
    const rig = new ManagerRig({
      manager: { proxy_100_continue: true },
      upstream: { headers: (stream) => stream.informational(respond(100)) },
    });
    await rig.request('POST / HTTP/1.1', 'content-length: 2', 'expect: 100-continue');
    expect(rig.client.text).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    expect(rig.requests[0]?.get('expect')).toBe('100-continue');
  });

  test('early hints pass filters and the client, also several', async () => {
    const seen: number[] = [];
    const rig = new ManagerRig({
      manager: { proxy_100_continue: true },
      filters: { hints: { onInformational: (headers) => void seen.push(headers.status) } },
      upstream: {
        headers(stream) {
          stream.informational(respond(103, { link: '</a>' }));
          stream.informational(respond(103, { link: '</b>' }));
          ok(stream);
        },
      },
    });
    await rig.request();
    expect(rig.responses().map(({ status }) => status)).toEqual([103, 103, 200]);
    expect(seen).toEqual([103, 103]);
  });

  test('interim responses of the upstream stay here without proxy_100_continue: the client has had its own', async () => {
    const rig = new ManagerRig({
      upstream: {
        headers(stream) {
          stream.informational(respond(100));
          ok(stream);
        },
      },
    });
    await rig.request('POST / HTTP/1.1', 'content-length: 0', 'expect: 100-continue');
    expect(rig.responses().map(({ status }) => status)).toEqual([100, 200]);
    expect(rig.requests[0]?.get('expect')).toBeUndefined();
    expect(rig.stat('downstream_rq_1xx')).toBe(1);
  });

  test('a response without an end in sight, then its end', async () => {
    const rig = await ask({ upstream: { headers: (stream) => stream.sendHeaders(respond(200), false) } });
    const [stream] = rig.streams;
    expect(stream?.responseStarted).toBe(true);
    stream?.sendBody(Buffer.from('abc'), false, false);
    stream?.sendBody(Buffer.alloc(0), true, false);
    await rig.run();
    expect([rig.response.chunked, rig.response.body.toString()]).toEqual([true, 'abc']);
  });

  test('a request whose sender ends its side still gets its answer', async () => {
    const rig = await ask({ upstream: silent });
    rig.pair.client.end();
    await rig.run();
    ok(rig.streams[0] as TerminalHttpStream);
    await rig.run();
    expect(rig.response.status).toBe(200);
    expect(rig.logged).toEqual(['200 via_upstream -']);
    expect(rig.closed).toBe(true);
  });

  test('bytes of the connection are counted', async () => {
    const rig = await ask({});
    expect(rig.stat('downstream_cx_rx_bytes_total')).toBe('GET / HTTP/1.1\r\nhost: a.test\r\n\r\n'.length);
    expect(rig.stat('downstream_cx_tx_bytes_total')).toBe(rig.client.bytes.length);
  });

  test('a pair of slow readers: what is sent waits for room, and says when there is some', async () => {
    const events: string[] = [];
    const rig = new ManagerRig({
      connection: { highWatermarkBytes: 1000 },
      upstream: {
        headers(stream) {
          stream.sendHeaders(respond(200), false);
          events.push(String(stream.sendBody(Buffer.alloc(600, 'a'), false, true)));
          events.push(String(stream.sendBody(Buffer.alloc(600, 'b'), false, true)));
        },
        writable(stream) {
          events.push('writable');
          stream.sendBody(Buffer.from('end'), true, true);
        },
      },
    });
    await rig.request();
    expect(events).toEqual(['true', 'false', 'writable']);
    expect(rig.response.body).toHaveLength(1203);
  });

  test('a terminal filter that takes no more stops the request until it resumes', async () => {
    const rig = new ManagerRig({ upstream: { headers() {}, body: () => false } });
    await rig.request('POST / HTTP/1.1', 'content-length: 6');
    await rig.send('ab');
    await rig.send('cd');
    expect(rig.upstream).toEqual(['POST /', 'body:ab']);
    expect(rig.stat('downstream_flow_control_paused_reading_total')).toBe(1);
    rig.streams[0]?.resumeRequestBody();
    await rig.run();
    expect(rig.upstream).toEqual(['POST /', 'body:ab', 'body:cd']);
    expect(rig.stat('downstream_flow_control_resumed_reading_total')).toBe(1);
    rig.streams[0]?.resumeRequestBody();
    rig.streams[0]?.pauseRequestBody();
    await rig.send('ef');
    expect(rig.upstream).toHaveLength(3);
    rig.streams[0]?.resumeRequestBody();
    await rig.run();
    expect(rig.upstream.at(-1)).toBe('body:ef!');
  });
});

describe('the end of a connection', () => {
  test('idle_timeout: before a request, and between two', async () => {
    const rig = new ManagerRig({ manager: { common_http_protocol_options: { idle_timeout: '10s' } } });
    await rig.advance(9_999);
    expect(rig.closed).toBe(false);
    await rig.request();
    await rig.advance(9_999);
    expect(rig.closed).toBe(false);
    await rig.advance(1);
    expect(rig.stat('downstream_cx_idle_timeout')).toBe(1);
    await rig.advance(4_999);
    expect(rig.closed).toBe(false);
    await rig.advance(1);
    expect(rig.closed).toBe(true);
    expect([rig.stat('downstream_cx_destroy_local'), rig.stat('downstream_cx_active')]).toEqual([1, 0]);
    expect(rig.context.stats.samples('http.test.downstream_cx_length_ms')).toHaveLength(1);
  });

  test('idle_timeout does not run during a request', async () => {
    const rig = await ask({
      manager: { common_http_protocol_options: { idle_timeout: '1s' } },
      upstream: silent,
    });
    await rig.advance(5000);
    expect(rig.closed).toBe(false);
  });

  test('max_connection_duration: in a request, with its response', async () => {
    const rig = await ask({
      manager: { common_http_protocol_options: { max_connection_duration: '5s' } },
      upstream: silent,
    });
    await rig.advance(5000);
    expect(rig.closed).toBe(false);
    ok(rig.streams[0] as TerminalHttpStream);
    await rig.run();
    expect(rig.response.header('connection')).toBe('close');
    expect(rig.closed).toBe(true);
  });

  test('max_requests_per_connection: the last response says so', async () => {
    const rig = new ManagerRig({
      manager: { common_http_protocol_options: { max_requests_per_connection: 2 } },
    });
    await rig.request();
    expect(rig.closed).toBe(false);
    await rig.request();
    expect(rig.responses().map((response) => response.header('connection'))).toEqual([undefined, 'close']);
    expect(rig.closed).toBe(true);
    expect(rig.stat('downstream_cx_max_requests_reached')).toBe(1);
  });

  test.each([
    ['draining', {}],
    ['max_connection_duration', { max_connection_duration: '5s' }],
  ])('%s lets a request through whose head is half read', async (what, common) => {
    const rig = new ManagerRig({ manager: { common_http_protocol_options: common } });
    await rig.send('POST / HTTP/1.1\r\nhost: a.t');
    if (what === 'draining') rig.context.drain.start();
    else await rig.advance(5000);
    await rig.send('est\r\ncontent-length: 2\r\n\r\nhi');
    const { status, header } = rig.response;
    expect([status, header('connection'), rig.closed]).toEqual([200, 'close', true]);
  });

  test('idle_timeout does not run while the end of the connection is awaited', async () => {
    const rig = new ManagerRig({
      manager: { common_http_protocol_options: { idle_timeout: '1s' } },
      upstream: { headers: (stream) => ok(stream) },
    });
    const { server } = rig.pair;
    // In memory nothing is ever awaited: here the peer never reads.
    vi.spyOn(server, 'close').mockImplementation(() => {
      vi.spyOn(server, 'open', 'get').mockReturnValue(false);
    });
    await rig.request('GET / HTTP/1.1', 'connection: close');
    expect(server.open).toBe(false);
    await rig.advance(5000);
    expect(rig.stat('downstream_cx_idle_timeout')).toBe(0);
  });

  test('connection: close of the client', async () => {
    const rig = await ask({}, 'GET / HTTP/1.1', 'connection: close');
    expect([rig.response.header('connection'), rig.closed]).toEqual(['close', true]);
  });

  test.each([
    ['nothing when the client announced its last request and has sent it', {}, '', 'flush'],
    [
      'the end of a client which may still send',
      { max_requests_per_connection: 1 },
      'x-y: z',
      'flush-and-wait',
    ],
  ])('waits for %s', async (_what, common, line, mode) => {
    const rig = new ManagerRig({ manager: { common_http_protocol_options: common } });
    const close = vi.spyOn(rig.pair.server, 'close');
    await rig.request('GET / HTTP/1.1', line === '' ? 'connection: close' : line);
    expect(close.mock.calls[0]?.[0]).toBe(mode);
  });

  test('a connection that is gone leaves no timer', async () => {
    const rig = await ask({
      manager: {
        request_timeout: '1s',
        request_headers_timeout: '1s',
        common_http_protocol_options: { max_connection_duration: '5s', max_stream_duration: '5s' },
      },
      upstream: silent,
    });
    rig.pair.client.close('reset');
    await rig.run();
    expect(rig.clock.pendingTimers).toBe(0);
    expect(rig.stat('downstream_rq_active')).toBe(0);
  });

  test('delayed_close_timeout is handed to the connection', () => {
    const rig = new ManagerRig({ manager: { delayed_close_timeout: '0.25s' } });
    expect(rig.pair.server.delayedCloseMs).toBe(250);
    expect(new ManagerRig().pair.server.delayedCloseMs).toBe(1000);
  });
});

describe('timeouts of a request', () => {
  const post = (rig: ManagerRig) => rig.request('POST / HTTP/1.1', 'content-length: 5');
  const route = (action: object) => ({
    routes: [{ match: { prefix: '/' }, route: { cluster: 'c', ...action } }] as never,
  });

  test('request_timeout: 408 while the request is incomplete, nothing once it is', async () => {
    const rig = new ManagerRig({ manager: { request_timeout: '3s' }, upstream: silent });
    await post(rig);
    await rig.advance(2999);
    expect(rig.client.text).toBe('');
    await rig.advance(1);
    expect([rig.response.status, rig.response.body.toString()]).toEqual([408, 'request timeout']);
    expect(rig.logged).toEqual(['408 request_overall_timeout -']);
    expect(rig.stat('downstream_rq_timeout')).toBe(1);

    const complete = await ask({ manager: { request_timeout: '3s' }, upstream: silent });
    await complete.advance(10_000);
    expect(complete.client.text).toBe('');
  });

  test('stream_idle_timeout: 408 while the request is incomplete, 504 after it', async () => {
    const rig = new ManagerRig({ manager: { stream_idle_timeout: '3s' }, upstream: silent });
    await post(rig);
    await rig.advance(2000);
    await rig.send('a');
    await rig.advance(2999);
    expect(rig.client.text).toBe('');
    await rig.advance(1);
    expect([rig.response.status, rig.response.body.toString()]).toEqual([408, 'stream timeout']);
    expect(rig.logged).toEqual(['408 stream_idle_timeout SI']);
    expect(rig.stat('downstream_rq_idle_timeout')).toBe(1);

    const late = await ask({ manager: { stream_idle_timeout: '3s' }, upstream: silent });
    await late.advance(3000);
    expect(late.response.status).toBe(504);
    expect(late.logged).toEqual(['504 stream_idle_timeout SI']);
  });

  test('stream_idle_timeout is 5 minutes by default; 0 turns it off', async () => {
    const rig = await ask({ upstream: silent });
    await rig.advance(299_999);
    expect(rig.client.text).toBe('');
    await rig.advance(1);
    expect(rig.response.status).toBe(504);
    const off = await ask({ manager: { stream_idle_timeout: '0s' }, upstream: silent });
    await off.advance(3_000_000);
    expect(off.client.text).toBe('');
  });

  test('a response that has begun is cut', async () => {
    const rig = await ask({
      manager: { stream_idle_timeout: '3s' },
      upstream: { headers: (stream) => stream.sendHeaders(respond(200), false) },
    });
    await rig.advance(3000);
    expect(rig.logged).toEqual(['200 stream_idle_timeout SI']);
    expect([rig.stat('downstream_rq_tx_reset'), rig.closed]).toEqual([1, true]);
  });

  test('max_stream_duration: 408 or 504, counted', async () => {
    const manager = { common_http_protocol_options: { max_stream_duration: '3s' } };
    const rig = new ManagerRig({ manager, upstream: silent });
    await post(rig);
    await rig.advance(3000);
    expect([rig.response.status, rig.response.body.toString()]).toEqual([408, 'downstream duration timeout']);
    expect(rig.logged).toEqual(['408 max_duration_timeout -']);
    expect(rig.stat('downstream_rq_max_duration_reached')).toBe(1);
    const late = await ask({ manager, upstream: silent });
    await late.advance(3000);
    expect(late.logged).toEqual(['504 max_duration_timeout -']);
  });

  test('the route has its own: idle_timeout, max_stream_duration, both also 0', async () => {
    const idle = await ask({ ...route({ idle_timeout: '1s' }), upstream: silent });
    await idle.advance(1000);
    expect(idle.logged).toEqual(['504 stream_idle_timeout SI']);
    const noIdle = await ask({
      manager: { stream_idle_timeout: '1s' },
      ...route({ idle_timeout: '0s' }),
      upstream: silent,
    });
    await noIdle.advance(100_000);
    expect(noIdle.logged).toEqual([]);
    const duration = await ask({
      ...route({ max_stream_duration: { max_stream_duration: '2s' } }),
      upstream: silent,
    });
    await duration.advance(2000);
    expect(duration.logged).toEqual(['504 max_duration_timeout -']);
    const endless = await ask({
      manager: { common_http_protocol_options: { max_stream_duration: '1s' } },
      ...route({ max_stream_duration: { max_stream_duration: '0s' } }),
      upstream: silent,
    });
    await endless.advance(200_000);
    expect(endless.logged).toEqual([]);
  });

  test.each<
    [name: string, duration: object, lines: string[], endsAt: number | undefined, told: string | undefined]
  >([
    ['is heeded with a maximum', { grpc_timeout_header_max: '10s' }, ['grpc-timeout: 3S'], 3000, '3000m'],
    ['is capped', { grpc_timeout_header_max: '2s' }, ['grpc-timeout: 3S'], 2000, '2000m'],
    ['is not capped by 0', { grpc_timeout_header_max: '0s' }, ['grpc-timeout: 3S'], 3000, '3000m'],
    [
      'less an offset',
      { grpc_timeout_header_max: '0s', grpc_timeout_header_offset: '0.5s' },
      ['grpc-timeout: 3S'],
      2500,
      '2500m',
    ],
    [
      'less an offset that leaves nothing: over at once',
      { grpc_timeout_header_max: '0s', grpc_timeout_header_offset: '5s' },
      ['grpc-timeout: 3S'],
      0,
      '0m',
    ],
    [
      'that is missing: the route’s',
      { max_stream_duration: '4s', grpc_timeout_header_max: '2s' },
      [],
      4000,
      '4000m',
    ],
    ['that is missing: the manager’s', { grpc_timeout_header_max: '2s' }, [], 7000, '7000m'],
    ['without a maximum: the route’s', { max_stream_duration: '4s' }, ['grpc-timeout: 3S'], 4000, '4000m'],
    [
      'is taken off, when there is no limit',
      { max_stream_duration: '0s' },
      ['grpc-timeout: 3S'],
      undefined,
      undefined,
    ],
  ])('grpc-timeout %s', async (_name, duration, lines, endsAt, told) => {
    let upstream: string | undefined = 'nothing came';
    const rig = await ask(
      {
        manager: { common_http_protocol_options: { max_stream_duration: '7s' } },
        ...route({ max_stream_duration: duration }),
        upstream: {
          headers(_stream, headers) {
            upstream = headers.get('grpc-timeout');
          },
        },
      },
      undefined,
      'content-type: application/grpc',
      ...lines,
    );
    expect(upstream).toBe(told);
    await rig.advance(Math.max(0, (endsAt ?? 200_000) - 1));
    if (endsAt !== 0) expect(rig.logged).toEqual([]);
    if (endsAt === undefined) return;
    await rig.advance(1);
    expect(rig.logged).toEqual(['200 max_duration_timeout -']);
  });

  test('a timeout answers although filters hold the response', async () => {
    const rig = await ask({
      manager: { stream_idle_timeout: '1s' },
      filters: { holder: { onResponseHeaders: () => 'pause' } },
    });
    expect(rig.client.text).toBe('');
    await rig.advance(1000);
    expect(rig.response.status).toBe(504);
  });

  describe('request_headers_timeout', () => {
    const manager = { request_headers_timeout: '2s' };

    test('a head that is not complete in time gets 408, and the connection ends', async () => {
      const rig = await new ManagerRig({ manager }).send('GET / HTTP/1.1\r\n');
      await rig.advance(1000);
      await rig.send('host: a\r\n');
      await rig.advance(999);
      expect(rig.client.text).toBe('');
      await rig.advance(1);
      expect([rig.response.status, rig.response.body.toString()]).toEqual([408, 'request header timeout']);
      expect(rig.response.header('connection')).toBe('close');
      expect(rig.logged).toEqual(['408 request_header_timeout -']);
      expect([rig.stat('downstream_rq_header_timeout'), rig.stat('downstream_cx_protocol_error')]).toEqual([
        1, 0,
      ]);
      expect(rig.closed).toBe(true);
      expect(rig.clock.pendingTimers).toBe(0);
    });

    test('one that is complete does not, nor a connection that rests', async () => {
      const rig = await new ManagerRig({ manager }).send('GET / HTTP/1.1\r\n');
      await rig.advance(1999);
      await rig.send('host: a\r\n\r\n');
      await rig.advance(100_000);
      expect(rig.responses().map(({ status }) => status)).toEqual([200]);
      expect(rig.closed).toBe(false);
    });

    test('holds for the second request as for the first', async () => {
      const rig = await new ManagerRig({ manager }).send(`${GET}GET /2 HTTP/1.1\r\n`);
      await rig.advance(2000);
      expect(rig.responses().map(({ status }) => status)).toEqual([200, 408]);
    });

    test('also when the beginning of the head came before the answer to the first', async () => {
      const rig = await new ManagerRig({ manager, upstream: silent }).send(`${GET}GET /2 HTTP/1.1\r\n`);
      ok(rig.streams[0] as TerminalHttpStream);
      await rig.run();
      await rig.advance(2000);
      expect(rig.responses().map(({ status }) => status)).toEqual([200, 408]);
    });

    test('without it, a head may not rest for stream_idle_timeout', async () => {
      const rig = await new ManagerRig({ manager: { stream_idle_timeout: '2s' } }).send('GET / HTTP/1.1\r\n');
      await rig.advance(1999);
      await rig.send('host: a\r\n');
      await rig.advance(1999);
      expect(rig.client.text).toBe('');
      await rig.advance(1);
      expect(rig.response.status).toBe(408);
      expect(rig.logged).toEqual(['408 stream_idle_timeout SI']);
      expect(rig.closed).toBe(true);
    });
  });
});
