import { type HttpFilter, ResponseFlag, type ResponseHeaders } from '@dragoman/core';
import { type JsonObject, requestHeaders } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { buildLocalReply } from '../src/index.ts';
import { ask, ManagerRig, type RigOptions, respond } from './manager-rig.ts';
import { streamInfo } from './routes-support.ts';

interface Case {
  readonly name: string;
  /** The request, Host left out when it stands in it. */
  readonly request: string;
  readonly manager?: Record<string, never> | object;
  readonly status: number;
  readonly body?: string;
  readonly log: string;
  readonly stat?: string;
}

const CASES: readonly Case[] = [
  {
    name: 'no Host',
    request: 'GET / HTTP/1.1\r\n\r\n',
    status: 400,
    body: '',
    log: '400 missing_host_header -',
    stat: 'downstream_rq_4xx',
  },
  {
    name: 'an empty Host',
    request: 'GET / HTTP/1.1\r\nhost:\r\n\r\n',
    status: 400,
    log: '400 http.invalid_authority DPE',
  },
  {
    name: 'an absolute target where it is not allowed',
    manager: { http_protocol_options: { allow_absolute_url: false } },
    request: 'GET http://a/b HTTP/1.1\r\nhost: a\r\n\r\n',
    status: 404,
    body: '',
    log: '404 absolute_path_rejected -',
    stat: 'downstream_rq_non_relative_path',
  },
  {
    name: 'an upgrade',
    request: 'GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
    status: 403,
    body: '',
    log: '403 upgrade_failed -',
    stat: 'downstream_rq_ws_on_non_ws_route',
  },
  {
    name: 'HTTP/1.0',
    request: 'GET / HTTP/1.0\r\nhost: a\r\n\r\n',
    status: 426,
    body: '',
    log: '426 low_version -',
    stat: 'downstream_rq_4xx',
  },
  {
    name: 'headers that are too large',
    manager: { max_request_headers_kb: 1 },
    request: `GET / HTTP/1.1\r\nhost: a\r\nx: ${'y'.repeat(2000)}\r\n\r\n`,
    status: 431,
    body: 'Request Header Fields Too Large',
    log: '431 http1.headers_too_large DPE',
    stat: 'downstream_cx_protocol_error',
  },
  {
    name: 'too many headers',
    manager: { common_http_protocol_options: { max_headers_count: 2 } },
    request: 'GET / HTTP/1.1\r\nhost: a\r\nx: 1\r\ny: 2\r\n\r\n',
    status: 431,
    log: '431 http1.too_many_headers DPE',
  },
  {
    name: 'bytes that are no HTTP',
    request: 'nonsense\r\n\r\n',
    status: 400,
    body: 'Bad Request',
    log: '400 http1.codec_error DPE',
    stat: 'downstream_cx_protocol_error',
  },
  {
    name: 'both lengths',
    request: 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n',
    status: 400,
    log: '400 http1.content_length_and_chunked_not_allowed DPE',
  },
  {
    name: 'an unknown method',
    request: 'BREW / HTTP/1.1\r\nhost: a\r\n\r\n',
    status: 400,
    log: '400 http1.codec_error DPE',
  },
  {
    name: 'a rejected underscore',
    manager: { common_http_protocol_options: { headers_with_underscores_action: 'REJECT_REQUEST' } },
    request: 'GET / HTTP/1.1\r\nhost: a\r\na_b: c\r\n\r\n',
    status: 400,
    log: '400 http1.unexpected_underscore DPE',
  },
  {
    name: 'a path that cannot be normalised',
    manager: { normalize_path: true },
    request: 'GET /a%00b HTTP/1.1\r\nhost: a\r\n\r\n',
    status: 400,
    body: '',
    log: '400 path_normalization_failed -',
    stat: 'downstream_rq_failed_path_normalization',
  },
  {
    name: 'an escaped slash that is rejected',
    manager: { path_with_escaped_slashes_action: 'REJECT_REQUEST' },
    request: 'GET /a%2fb HTTP/1.1\r\nhost: a\r\n\r\n',
    status: 400,
    body: '',
    log: '400 path_normalization_failed -',
    stat: 'downstream_rq_failed_path_normalization',
  },
];

describe('what the connection manager answers itself', () => {
  test.each(CASES)('$name: $status', async ({ request, manager, status, body, log, stat }) => {
    const rig = new ManagerRig({ manager: { ...manager } as never });
    await rig.send(request);
    const { response } = rig;
    expect(response.status).toBe(status);
    if (body !== undefined) expect(response.body.toString()).toBe(body);
    expect(response.header('server')).toBe('rig');
    expect(response.header('date')).toMatch(/GMT$/);
    expect(rig.logged).toEqual([log]);
    expect(rig.upstream).toEqual([]);
    expect(rig.stat('downstream_rq_total')).toBe(1);
    expect(rig.stat('downstream_rq_active')).toBe(0);
    expect(rig.stat('downstream_rq_4xx')).toBe(1);
    expect(rig.stat('downstream_rq_completed')).toBe(1);
    expect(rig.context.stats.value('listener.test.http.test.downstream_rq_4xx')).toBe(1);
    if (stat !== undefined) expect(rig.stat(stat)).toBe(1);
    expect(rig.closed).toBe(true);
  });

  test('a redirect to the path without escaped slashes', async () => {
    const rig = await ask(
      { manager: { path_with_escaped_slashes_action: 'UNESCAPE_AND_REDIRECT' } },
      'GET /a%2Fb?c HTTP/1.1',
    );
    expect([rig.response.status, rig.response.header('location')]).toEqual([307, '/a/b?c']);
    expect(rig.stat('downstream_rq_redirected_with_normalized_path')).toBe(1);
    const grpc = await ask(
      { manager: { path_with_escaped_slashes_action: 'UNESCAPE_AND_REDIRECT' } },
      'POST /a%2Fb HTTP/1.1',
      'content-type: application/grpc',
      'content-length: 0',
    );
    expect([grpc.response.status, grpc.response.header('grpc-status')]).toEqual([200, '13']);
  });

  test('an offer of h2c is taken off and the request served as HTTP/1.1', async () => {
    const rig = await ask(
      {},
      'GET / HTTP/1.1',
      'connection: upgrade, http2-settings',
      'upgrade: h2c',
      'http2-settings: AAA',
    );
    expect(rig.response.status).toBe(200);
    expect(rig.requests[0]?.get('upgrade')).toBeUndefined();
    expect(rig.requests[0]?.get('http2-settings')).toBeUndefined();
  });

  test('an absolute target becomes path and authority', async () => {
    const rig = await ask({}, 'GET http://other.test/x HTTP/1.1');
    expect([rig.requests[0]?.authority, rig.requests[0]?.path]).toEqual(['other.test', '/x']);
  });

  test('OPTIONS * and other targets that are no path get 404 absolute_path_rejected', async () => {
    const rig = await ask({}, 'OPTIONS * HTTP/1.1');
    expect(rig.response.status).toBe(404);
    expect(rig.logged).toEqual(['404 absolute_path_rejected -']);
    expect(rig.stat('downstream_rq_non_relative_path')).toBe(1);
  });

  test('a body that breaks the framing is answered with 400 while there is no response', async () => {
    const rig = await new ManagerRig({ upstream: { headers() {} } }).send(
      'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nnothex\r\n',
    );
    expect(rig.response.status).toBe(400);
    expect(rig.logged).toEqual(['400 http1.codec_error DPE']);
    expect(rig.lastLog.info.connectionTerminationDetails).toBe('http1.codec_error');
    expect(rig.upstream.at(-1)).toBe('complete');
  });

  test('and cuts a response that has begun', async () => {
    const rig = new ManagerRig({
      upstream: {
        headers: (stream) => stream.sendHeaders(respond(200), false),
      },
    });
    await rig.send('POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n', 'nothex\r\n');
    expect(rig.closed).toBe(true);
    expect(rig.context.logged).toHaveLength(1);
    expect(rig.lastLog.info.responseCode).toBe(200);
  });

  test('HEAD gets the headers of a local reply, with the length, and no body', async () => {
    const rig = new ManagerRig({
      upstream: {
        headers: (stream) => stream.reply({ status: 503, body: 'no healthy upstream', details: 'x' }),
      },
    });
    await rig.request('HEAD / HTTP/1.1');
    const [response] = rig.responses(true);
    expect([response?.status, response?.header('content-length')]).toEqual([503, '19']);
    expect(rig.client.text.endsWith('\r\n\r\n')).toBe(true);
  });

  test('a gRPC request gets trailers-only headers with the status that fits', async () => {
    for (const [status, grpcStatus] of [
      [400, 13],
      [401, 16],
      [403, 7],
      [404, 12],
      [429, 14],
      [503, 14],
      [500, 2],
    ]) {
      const rig = new ManagerRig({
        upstream: {
          headers: (stream) => stream.reply({ status: status as number, body: 'it % failed', details: 'x' }),
        },
      });
      await rig.request('POST /a.B/C HTTP/1.1', 'content-type: application/grpc+proto', 'content-length: 0');
      const { response } = rig;
      expect(response.status).toBe(200);
      expect(response.header('content-type')).toBe('application/grpc');
      expect(response.header('grpc-status')).toBe(String(grpcStatus));
      expect(response.header('grpc-message')).toBe('it %25 failed');
      expect(response.body).toHaveLength(0);
      expect(rig.logged[0]).toBe('200 x -');
    }
  });

  test('the body of a local reply is for %LOCAL_REPLY_BODY%', async () => {
    const rig = new ManagerRig({
      upstream: { headers: (stream) => stream.reply({ status: 418, body: 'teapot', details: 'tea' }) },
    });
    await rig.request();
    expect(rig.lastLog.localReplyBody).toBe('teapot');
  });

  test('a second reply, or one after a response has begun, resets the stream', async () => {
    const rig = new ManagerRig({
      upstream: {
        headers(stream) {
          stream.sendHeaders(respond(200), false);
          stream.reply({ status: 500, details: 'too_late' });
        },
      },
    });
    await rig.request();
    expect(rig.logged).toEqual(['200 too_late -']);
    expect(rig.stat('downstream_rq_tx_reset')).toBe(1);
    expect(rig.closed).toBe(true);
  });
});

describe('what a 400 does to its connection', () => {
  const reply400 = {
    upstream: { headers: (stream) => stream.reply({ status: 400, details: 'x' }) },
  } as RigOptions;
  const BAD_PATH = 'GET /a%00b HTTP/1.1';

  test.each<[string, JsonObject, RigOptions, string, closes: boolean]>([
    ['by itself', { normalize_path: true }, {}, BAD_PATH, true],
    ['of the terminal filter', {}, reply400, 'GET / HTTP/1.1', true],
    [
      'with stream_error_on_invalid_http_message',
      { normalize_path: true, stream_error_on_invalid_http_message: true },
      {},
      BAD_PATH,
      false,
    ],
    [
      'with stream_error_on_invalid_http_message, of the terminal filter',
      { stream_error_on_invalid_http_message: true },
      reply400,
      'GET / HTTP/1.1',
      false,
    ],
    [
      'with the override of HTTP/1 alone',
      {
        normalize_path: true,
        http_protocol_options: { override_stream_error_on_invalid_http_message: true },
      },
      {},
      BAD_PATH,
      false,
    ],
    [
      'with the override of HTTP/1 against it',
      {
        normalize_path: true,
        stream_error_on_invalid_http_message: true,
        http_protocol_options: { override_stream_error_on_invalid_http_message: false },
      },
      {},
      BAD_PATH,
      true,
    ],
    [
      'that the codec found, whatever is set',
      { stream_error_on_invalid_http_message: true },
      {},
      'GET / HTTP/1.1\r\nbad header: 1',
      true,
    ],
  ])('%s', async (_, manager, options, line, closes) => {
    const rig = await ask({ ...options, manager }, line);
    const { response } = rig;
    expect(response.status).toBe(400);
    expect(response.header('connection')).toBe(closes ? 'close' : undefined);
    expect(rig.closed).toBe(closes);
    if (closes) return;
    await rig.request('GET /next HTTP/1.1');
    expect(rig.logged).toHaveLength(2);
  });

  test('another status keeps the connection', async () => {
    const rig = await ask({ upstream: { headers: (stream) => stream.reply({ status: 401, details: 'x' }) } });
    expect([rig.response.status, rig.closed]).toEqual([401, false]);
  });
});

describe('filters and routes of a request that is refused early', () => {
  const marks: HttpFilter = {
    onRequestHeaders: () => {
      throw new Error('no request comes here');
    },
    onResponseHeaders: (headers) => headers.set('x-marked', String(headers.status)),
  };
  const routes = [
    {
      match: { prefix: '/' },
      route: { cluster: 'c' },
      response_headers_to_add: [{ header: { key: 'x-route', value: 'r' } }],
    },
  ];

  test.each([
    ['a bad path', 'GET /a%00b HTTP/1.1', '400', 'r'],
    ['bytes that are no HTTP', 'nonsense', '400', undefined],
  ])('%s: response hooks run, and what the route adds is added', async (_, line, marked, route) => {
    const rig = await ask({ manager: { normalize_path: true }, filters: { marks }, routes }, line);
    expect(rig.response.header('x-marked')).toBe(marked);
    expect(rig.response.header('x-route')).toBe(route);
    expect(rig.logged).toHaveLength(1);
    expect(rig.context.loggers.lines).toEqual([]);
  });

  test('a reply of the terminal filter has the headers of its route, before its own', async () => {
    const rig = await ask({
      routes,
      upstream: {
        headers: (stream) =>
          stream.reply({
            status: 503,
            details: 'x',
            modifyHeaders: (headers) => headers.append('x-route', 'own'),
          }),
      },
    });
    expect(rig.client.text).toMatch(/x-route: r\r\nx-route: own\r\n/);
  });

  test('a filter that replies when it is made for a refused request answers once', async () => {
    const rig = await ask(
      {
        manager: { normalize_path: true },
        filters: {
          eager: (stream) => {
            stream.reply({ status: 418, details: 'eager' });
            return {};
          },
        },
      },
      'GET /a%00b HTTP/1.1',
    );
    expect(rig.response.status).toBe(418);
    expect(rig.logged).toEqual(['418 eager -']);
  });

  test('one that fails when it is made is answered with 500', async () => {
    const rig = await ask(
      {
        manager: { normalize_path: true },
        filters: {
          broken: () => {
            throw new Error('bug');
          },
        },
      },
      'GET /a%00b HTTP/1.1',
    );
    expect(rig.response.status).toBe(500);
    expect(rig.logged).toEqual(['500 filter_chain_error -']);
  });

  test('a response hook that replies to every response is passed by', async () => {
    const rig = await ask(
      {
        manager: { normalize_path: true },
        filters: {
          replies: (stream) => ({
            onResponseHeaders: () => stream.reply({ status: 503, body: 'again', details: 'again' }),
          }),
        },
      },
      'GET /a%00b HTTP/1.1',
    );
    expect([rig.response.status, rig.response.body.toString()]).toEqual([503, 'again']);
    expect(rig.logged).toEqual(['503 again -']);
  });
});

describe('buildLocalReply', () => {
  const scene = { request: undefined, info: streamInfo(), route: undefined, rewriter: undefined };

  test('without a body there is neither a type nor a length', () => {
    const { headers, body } = buildLocalReply({ status: 404, details: 'x' }, scene);
    expect([headers.status, headers.get('content-type'), headers.get('content-length'), body]).toEqual([
      404,
      undefined,
      undefined,
      undefined,
    ]);
  });

  test.each([
    ['none', {}, 'text/plain'],
    ["its maker's", { 'content-type': 'text/html' }, 'text/html'],
  ])('content-type: %s', (_, fields, type) => {
    const modifyHeaders = (headers: ResponseHeaders) => {
      for (const [name, value] of Object.entries(fields)) headers.set(name, value);
      headers.set('content-length', '99');
    };
    const { headers } = buildLocalReply({ status: 404, body: 'abc', details: 'x', modifyHeaders }, scene);
    expect([headers.get('content-type'), headers.get('content-length')]).toEqual([type, '3']);
  });

  test('headers may be changed, a gRPC status given', () => {
    const request = requestHeaders({ 'content-type': 'application/grpc' });
    const { headers } = buildLocalReply(
      {
        status: 503,
        body: 'é~%',
        grpcStatus: 8,
        details: 'x',
        modifyHeaders: (changed) => changed.set('x-a', '1'),
      },
      { ...scene, request },
    );
    expect([headers.get('grpc-status'), headers.get('grpc-message'), headers.get('x-a')]).toEqual([
      '8',
      '%C3%A9%7E%25',
      '1',
    ]);
  });

  test('a gRPC status among the headers wins, and a length is taken off', () => {
    const request = requestHeaders({ 'content-type': 'application/grpc' });
    const { headers } = buildLocalReply(
      {
        status: 503,
        details: 'x',
        modifyHeaders(changed) {
          changed.set('grpc-status', '5');
          changed.set('content-length', '7');
        },
      },
      { ...scene, request },
    );
    expect([headers.get('grpc-status'), headers.get('content-length')]).toEqual(['5', undefined]);
  });
});

describe('flags', () => {
  test('of a reset by the peer', async () => {
    const rig = new ManagerRig({ upstream: { headers() {} } });
    await rig.request();
    rig.pair.client.close('reset');
    await rig.run();
    expect(rig.logged).toEqual(['0 downstream_remote_disconnect DC']);
    expect(rig.lastLog.info.hasResponseFlag(ResponseFlag.DownstreamConnectionTermination)).toBe(true);
    expect(rig.stat('downstream_rq_rx_reset')).toBe(1);
    expect(rig.stat('downstream_cx_destroy_remote_active_rq')).toBe(1);
    expect(rig.upstream).toEqual(['GET /', 'complete']);
  });

  test('of a connection that the proxy closes', async () => {
    const rig = new ManagerRig({ upstream: { headers() {} } });
    await rig.request();
    rig.pair.server.close('now', 'listener closed');
    await rig.run();
    expect(rig.logged).toEqual(['0 downstream_local_disconnect(listener_closed) DC']);
    expect(rig.stat('downstream_cx_destroy_local_active_rq')).toBe(1);
  });
});
