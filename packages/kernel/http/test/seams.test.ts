import { type HttpFilter, type HttpStream, type TerminalHttpStream, Trailers } from '@dragoman/core';
import type { JsonObject } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { ManagerRig, respond } from './manager-rig.ts';

const websocket = (filters: readonly JsonObject[]) => ({
  upgrade_configs: [{ upgrade_type: 'websocket', filters }],
});

describe('an upgrade with filters of its own', () => {
  test('is answered by the terminal filter that it was given to', async () => {
    const calls: string[] = [];
    const rig = new ManagerRig({
      manager: websocket([{ name: 'terminal' }]),
      filters: { looks: { onComplete: () => calls.push('complete') } },
      upstream: { headers: (stream) => stream.reply({ status: 503, body: 'no', details: 'no_host' }) },
    });
    await rig.request('GET /ws HTTP/1.1', 'connection: upgrade', 'upgrade: websocket');
    expect(rig.logged).toEqual(['503 no_host -']);
    expect(rig.streams).toHaveLength(1);
    expect(rig.upstream).toEqual(['GET /ws', 'complete']);
    expect(calls).toEqual([]);
    expect(rig.stat('downstream_cx_upgrades_active')).toBe(0);
  });
});

describe('a filter whose factory', () => {
  test.each<[name: string, create: (stream: HttpStream) => void, log: string]>([
    ['answers', (stream) => stream.reply({ status: 429, body: 'no', details: 'early' }), '429 early -'],
    ['resets', (stream) => stream.reset('local-reset'), '0  -'],
  ])('%s hears of the end once', async (_, create, log) => {
    const ends: string[] = [];
    const end = (name: string): HttpFilter => ({ onComplete: () => ends.push(name) });
    const rig = new ManagerRig({
      filters: {
        before: () => end('before'),
        it: (stream: HttpStream) => {
          create(stream);
          return end('it');
        },
        behind: () => end('behind'),
      },
    });
    await rig.request();
    expect(rig.logged).toEqual([log]);
    expect(ends.sort()).toEqual(['before', 'it']);
    expect(rig.upstream).toEqual(['complete']);
  });
});

describe('a reply in the place of a response that filters hold', () => {
  test.each([
    ['without a body', undefined],
    ['with a body', 'no'],
  ])('has nothing of its trailers: %s', async (_, body) => {
    const rig = new ManagerRig({
      manager: { http_protocol_options: { enable_trailers: true } },
      filters: {
        judges: (stream: HttpStream): HttpFilter => ({
          onResponseHeaders: () => 'collect',
          onResponseBody: () => 'collect',
          onResponseTrailers: () => stream.reply({ status: 403, body, details: 'judged' }),
        }),
      },
      upstream: {
        headers: (stream) => {
          const trailers = new Trailers();
          trailers.append('x-secret', 'yes');
          stream.sendHeaders(respond(200), false);
          stream.sendBody(Buffer.from('secret'), false, true);
          stream.sendTrailers(trailers);
        },
      },
    });
    await rig.request();
    expect(rig.response.status).toBe(403);
    expect(rig.response.header('content-length')).toBe(String(body?.length ?? 0));
    expect(rig.client.text).not.toContain('secret');
    expect(rig.lastLog.responseTrailers).toBeUndefined();
    expect(rig.logged).toEqual(['403 judged -']);
  });
});

describe('a connection header that nominates what carries trust', () => {
  test.each([false, true])('is a protocol error, whatever else is let live: %s', async (keep) => {
    const rig = new ManagerRig({ manager: { stream_error_on_invalid_http_message: keep } });
    await rig.request('GET / HTTP/1.1', 'connection: x-forwarded-for');
    expect([rig.response.status, rig.response.body.toString()]).toEqual([400, 'Bad Request']);
    expect(rig.logged).toEqual(['400 http1.connection_header_rejected DPE']);
    expect(rig.lastLog.info.connectionTerminationDetails).toBe('http1.connection_header_rejected');
    expect(rig.stat('downstream_cx_protocol_error')).toBe(1);
    expect(rig.stat('downstream_rq_rejected_via_ip_detection')).toBe(0);
    expect(rig.closed).toBe(true);
  });
});

describe('a route that a filter has changed', () => {
  const moves = {
    moves: (stream: HttpStream): HttpFilter => ({
      onRequestHeaders(headers) {
        headers.path = '/b';
        stream.clearRouteCache();
      },
    }),
  };
  const silent = { headers: (stream: TerminalHttpStream) => void stream.route };

  test.each<[field: string, ofA: object, ofB: object, manager: object, ms: number, log: string]>([
    ['idle_timeout', {}, { idle_timeout: '1s' }, {}, 1000, '504 stream_idle_timeout SI'],
    [
      'idle_timeout, which the other had and it has not',
      { idle_timeout: '1s' },
      {},
      {},
      1000,
      '504 stream_idle_timeout SI',
    ],
    [
      'max_stream_duration',
      { max_stream_duration: { max_stream_duration: '1s' } },
      { max_stream_duration: { max_stream_duration: '2s' } },
      {},
      2000,
      '504 max_duration_timeout -',
    ],
    [
      'max_stream_duration of the connection manager',
      { max_stream_duration: { max_stream_duration: '1s' } },
      {},
      { common_http_protocol_options: { max_stream_duration: '3s' } },
      3000,
      '504 max_duration_timeout -',
    ],
  ])('has its own %s', async (_, ofA, ofB, manager, ms, log) => {
    const rig = new ManagerRig({
      manager: manager as never,
      routes: [
        { match: { prefix: '/a' }, route: { cluster: 'c', ...ofA } },
        { match: { prefix: '/b' }, route: { cluster: 'c', ...ofB } },
      ],
      filters: moves,
      upstream: silent,
    });
    await rig.request('GET /a HTTP/1.1');
    await rig.advance(ms - 1);
    expect(rig.logged).toEqual([]);
    await rig.advance(1);
    expect(rig.logged).toEqual([log]);
  });
});

describe('bytes that are no request', () => {
  test('have no route, also when filters ask for it', async () => {
    const routes: unknown[] = [];
    const rig = new ManagerRig({
      routes: [{ match: { safe_regex: { regex: '.*' } }, route: { cluster: 'c' } }],
      filters: {
        asks: (stream: HttpStream): HttpFilter => ({
          onResponseHeaders: () => void routes.push(stream.route),
        }),
      },
    });
    await rig.send('nonsense\r\n\r\n');
    expect(rig.logged).toEqual(['400 http1.codec_error DPE']);
    expect(routes).toEqual([undefined]);
    expect(rig.lastLog.info.route).toBeUndefined();
  });

  test('share nothing with the next', async () => {
    const seen: string[][] = [];
    const options = {
      filters: {
        writes: (stream: HttpStream): HttpFilter => ({
          onResponseHeaders: () => {
            seen.push([...stream.requestHeaders.names]);
            stream.requestHeaders.set('x-mine', '1');
          },
        }),
      },
    };
    await new ManagerRig(options).send('nonsense\r\n\r\n');
    await new ManagerRig(options).send('nonsense\r\n\r\n');
    expect(seen).toEqual([[], []]);
  });
});

test.each([
  ['application/grpc', 200],
  ['application/grpc+proto', 200],
  ['application/grpc-web', 503],
  ['application/grpc;charset=utf-8', 503],
])('a local reply takes %s for gRPC as the rest of the proxy does', async (type, status) => {
  const rig = new ManagerRig({
    upstream: { headers: (stream) => stream.reply({ status: 503, details: 'none' }) },
  });
  await rig.request('GET / HTTP/1.1', `content-type: ${type}`);
  expect(rig.response.status).toBe(status);
});

test('a terminal filter that fails at its end, when its response is too large, fails its stream alone', async () => {
  let ends = 0;
  const rig = new ManagerRig({
    context: { perConnectionBufferLimitBytes: 4 },
    filters: {
      collects: { onResponseHeaders: () => 'collect', onResponseBody: () => 'collect' },
    },
    upstream: {
      headers(stream) {
        stream.sendHeaders(respond(200), false);
        expect(() => stream.sendBody(Buffer.from('too much'), false, true)).not.toThrow();
      },
      complete: () => {
        ends++;
        throw new Error('bug');
      },
    },
  });
  await rig.request();
  expect([rig.response.status, ends]).toEqual([500, 1]);
  expect(rig.logged).toEqual(['500 filter_chain_error -']);
});

test('an interim response of an upstream goes nowhere once a filter has answered', async () => {
  let resume = () => {};
  const rig = new ManagerRig({
    manager: { proxy_100_continue: true },
    filters: {
      holds: (stream: HttpStream): HttpFilter => ({
        onRequestBody: () => stream.reply({ status: 403, details: 'judged' }),
        onResponseHeaders: () => {
          resume = () => stream.resumeResponse();
          return 'pause';
        },
      }),
    },
    upstream: { headers() {} },
  });
  await rig.request('POST / HTTP/1.1', 'content-length: 9');
  await rig.send('body');
  rig.streams[0]?.informational(respond(103));
  resume();
  await rig.run();
  expect(rig.client.text).toMatch(/^HTTP\/1.1 403 /);
  expect(rig.logged).toEqual(['403 judged -']);
});
