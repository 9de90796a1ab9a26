import { RouterSchema } from '@dragoman/api';
import {
  BlackHole,
  echo,
  Gate,
  gated,
  type HttpBootstrapOptions,
  HttpUpstream,
  hang,
  type JsonObject,
  RawUpstream,
  reply,
  requestText,
  text,
} from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { startRouter, summary } from './support.ts';

/** One route to cluster `c` on a port. */
const to = (
  port: number,
  action: JsonObject = {},
  more: HttpBootstrapOptions = {},
): HttpBootstrapOptions => ({
  clusters: { c: port },
  routes: [{ match: { prefix: '/' }, route: { cluster: 'c', ...action } }],
  ...more,
});

/** Requests from this machine count as internal, so that their `x-envoy-*` headers are believed. */
const INTERNAL = {
  use_remote_address: true,
  internal_address_config: { cidr_ranges: [{ address_prefix: '127.0.0.0', prefix_len: 8 }] },
};

describe('headers', () => {
  test('of the request: timeout told, attempt count when asked for, nothing of the manager lost', async () => {
    await using upstream = await HttpUpstream.start(text('x'));
    await using proxied = await startRouter(
      to(
        upstream.port,
        {},
        {
          routeConfig: {},
          virtualHosts: [
            {
              name: 'v',
              domains: ['*'],
              include_request_attempt_count: true,
              include_attempt_count_in_response: true,
              routes: [{ match: { prefix: '/' }, route: { cluster: 'c', timeout: '3s' } }],
            },
          ],
        },
      ),
    );
    const response = await proxied.proxy.get('/', 'x-own: 1');
    const request = await upstream.request();
    expect(request.header('x-envoy-expected-rq-timeout-ms')).toBe('3000');
    expect(request.header('x-envoy-attempt-count')).toBe('1');
    expect(request.header('x-own')).toBe('1');
    expect(response.header('x-envoy-attempt-count')).toBe('1');
    expect(response.header('x-envoy-upstream-service-time')).toBe('0');
    expect((await proxied.entry()).info.upstreamRequestAttemptCount).toBe(1);
  });

  test('x-envoy-upstream-service-time is the time from the complete request to the answer', async () => {
    const gate = new Gate();
    await using upstream = await HttpUpstream.start(gated(gate, text('x')));
    await using proxied = await startRouter(to(upstream.port));
    const asked = proxied.proxy.get('/');
    await gate.reached();
    proxied.clock.advance(123);
    gate.open();
    expect((await asked).header('x-envoy-upstream-service-time')).toBe('123');
    proxied.proxy.proxy.stats.flush();
    expect(proxied.proxy.proxy.stats.histograms.get('cluster.c.upstream_rq_time')?.used).toBe(true);
    expect(proxied.proxy.proxy.stats.histograms.get('cluster.c.external.upstream_rq_time')?.used).toBe(true);
  });

  test('suppress_envoy_headers adds none', async () => {
    await using upstream = await HttpUpstream.start(text('x'));
    await using proxied = await startRouter(
      to(upstream.port, {}, { router: { suppress_envoy_headers: true } }),
    );
    const response = await proxied.proxy.get('/');
    expect(response.headers.filter(([name]) => name.startsWith('x-envoy'))).toEqual([]);
    expect((await upstream.request()).rawHeaders.filter(([name]) => name.startsWith('x-envoy'))).toEqual([]);
  });

  test('auto_host_rewrite takes the chosen host’s name', async () => {
    await using upstream = await HttpUpstream.start(text('x'));
    const endpoint = {
      address: { socket_address: { address: '127.0.0.1', port_value: upstream.port } },
      hostname: 'name.test',
    };
    await using proxied = await startRouter({
      clusters: {
        c: { load_assignment: { cluster_name: 'c', endpoints: [{ lb_endpoints: [{ endpoint }] }] } },
      },
      routes: [
        {
          match: { prefix: '/' },
          route: { cluster: 'c', auto_host_rewrite: true, append_x_forwarded_host: true },
        },
      ],
    });
    await proxied.proxy.get('/', 'x-forwarded-host: first.test');
    const request = await upstream.request();
    expect([
      request.header('host'),
      request.header('x-forwarded-host'),
      request.header('x-envoy-original-host'),
    ]).toEqual(['name.test', 'first.test,test', 'test']);
  });

  test('what a trusted caller asks of this proxy does not go on', async () => {
    await using upstream = await HttpUpstream.start(text('x'));
    await using proxied = await startRouter(to(upstream.port, {}, { manager: INTERNAL }));
    const asked = [
      'x-envoy-max-retries: 2',
      'x-envoy-retry-on: 5xx',
      'x-envoy-retry-grpc-on: cancelled',
      'x-envoy-retriable-status-codes: 500',
      'x-envoy-retriable-header-names: a',
      'x-envoy-hedge-on-per-try-timeout: true',
      'x-envoy-upstream-alt-stat-name: other',
      'x-envoy-upstream-rq-timeout-ms: 5000',
      'x-envoy-upstream-rq-per-try-timeout-ms: 4000',
    ];
    await proxied.proxy.get('/', ...asked);
    const { rawHeaders } = await upstream.request();
    const names = new Set(asked.map((line) => line.split(':')[0]));
    expect(rawHeaders.filter(([name]) => names.has(name))).toEqual([]);
    // A try that is hedged may go on as long as the whole request.
    expect(rawHeaders).toContainEqual(['x-envoy-expected-rq-timeout-ms', '5000']);
  });
});

describe('timeouts', () => {
  const cases: readonly [
    name: string,
    action: JsonObject,
    router: JsonObject,
    lines: string[],
    ms: number,
    status: number,
  ][] = [
    ['the route’s', { timeout: '1s' }, {}, [], 1000, 504],
    ['x-envoy-upstream-rq-timeout-ms', {}, {}, ['x-envoy-upstream-rq-timeout-ms: 200'], 200, 504],
    [
      'one that is no number does not count',
      { timeout: '1s' },
      {},
      ['x-envoy-upstream-rq-timeout-ms: 5x'],
      1000,
      504,
    ],
    [
      'x-envoy-expected-rq-timeout-ms, when it is respected',
      {},
      { respect_expected_rq_timeout: true },
      ['x-envoy-expected-rq-timeout-ms: 300'],
      300,
      504,
    ],
    ['not when it is not', { timeout: '1s' }, {}, ['x-envoy-expected-rq-timeout-ms: 300'], 1000, 504],
    [
      'x-envoy-upstream-rq-timeout-alt-response',
      { timeout: '1s' },
      {},
      ['x-envoy-upstream-rq-timeout-alt-response: 1'],
      1000,
      204,
    ],
  ];
  test.each(cases)('%s', async (_, action, router, lines, ms, status) => {
    await using upstream = await HttpUpstream.start(hang());
    await using proxied = await startRouter(to(upstream.port, action, { router, manager: INTERNAL }));
    await using client = await proxied.proxy.connect();
    await client.write(requestText('GET', '/', lines));
    const request = await upstream.request();
    expect(request.header('x-envoy-upstream-rq-timeout-ms')).toBeUndefined();
    expect(request.header('x-envoy-expected-rq-timeout-ms')).toBe(String(ms));
    proxied.clock.advance(ms - 1);
    expect(proxied.proxy.stat('cluster.c.upstream_rq_timeout')).toBe(0);
    proxied.clock.advance(1);
    expect((await client.readResponse()).status).toBe(status);
    expect(summary(await proxied.entry())).toBe(`${status} UT response_timeout`);
  });

  test('of the one try, when it is the shorter', async () => {
    await using upstream = await HttpUpstream.start(hang());
    await using proxied = await startRouter(to(upstream.port, { timeout: '1s' }, { manager: INTERNAL }));
    await using client = await proxied.proxy.connect();
    await client.write(requestText('GET', '/', ['x-envoy-upstream-rq-per-try-timeout-ms: 100']));
    expect((await upstream.request()).header('x-envoy-expected-rq-timeout-ms')).toBe('100');
    proxied.clock.advance(100);
    expect((await client.readResponse()).status).toBe(504);
    expect(summary(await proxied.entry())).toBe('504 UT upstream_per_try_timeout');
    expect(proxied.proxy.stat('cluster.c.upstream_rq_per_try_timeout')).toBe(1);
    expect(proxied.proxy.stat('cluster.c.upstream_rq_timeout')).toBe(0);
  });

  test('of the one try ends with the response headers; that of the whole does not', async () => {
    const gate = new Gate();
    await using upstream = await HttpUpstream.start(async ({ response }) => {
      response.writeHead(200);
      response.write('a');
      await gate.pass();
      response.end('b');
    });
    await using proxied = await startRouter(to(upstream.port, { timeout: '1s' }, { manager: INTERNAL }));
    const send = async () => {
      const client = await proxied.proxy.connect();
      await client.write(requestText('GET', '/', ['x-envoy-upstream-rq-per-try-timeout-ms: 100']));
      await client.readUntil('a');
      return client;
    };
    await using client = await send();
    proxied.clock.advance(500);
    expect(proxied.proxy.stat('cluster.c.upstream_rq_per_try_timeout')).toBe(0);
    proxied.clock.advance(500);
    await client.readUntilClose();
    expect(summary(await proxied.entry())).toBe('200 UT response_timeout');
    expect(proxied.proxy.stat('cluster.c.upstream_rq_timeout')).toBe(1);
    // The host had answered: it is not in error.
    const page = (await proxied.proxy.admin('/clusters')).body.toString();
    expect(page).toMatch(/::rq_success::1$/m);
    expect(page).toMatch(/::rq_error::0$/m);
    gate.open();
  });

  test('0 is none, and is not told', async () => {
    await using upstream = await HttpUpstream.start(hang());
    await using proxied = await startRouter(to(upstream.port, { timeout: '0s' }));
    await using client = await proxied.proxy.connect();
    await client.write(requestText('GET', '/'));
    expect((await upstream.request()).header('x-envoy-expected-rq-timeout-ms')).toBeUndefined();
    proxied.clock.advance(200_000);
    expect(proxied.proxy.stat('cluster.c.upstream_rq_timeout')).toBe(0);
  });

  test('the time runs from the end of the request', async () => {
    await using upstream = await HttpUpstream.start(hang());
    await using proxied = await startRouter(to(upstream.port, { timeout: '1s' }));
    await using client = await proxied.proxy.connect();
    await client.write(requestText('POST', '/', ['content-length: 2']), 'a');
    await upstream.request();
    proxied.clock.advance(60_000);
    expect(proxied.proxy.stat('cluster.c.upstream_rq_timeout')).toBe(0);
    await client.write('b');
    await (await upstream.request()).body;
    proxied.clock.advance(1000);
    expect((await client.readResponse()).status).toBe(504);
  });
});

describe('answers without an upstream', () => {
  test('direct responses and redirects', async () => {
    await using proxied = await startRouter({
      routes: [
        { match: { path: '/direct' }, direct_response: { status: 418, body: { inline_string: 'tea' } } },
        { match: { path: '/empty' }, direct_response: { status: 204 } },
        { match: { prefix: '/old' }, redirect: { prefix_rewrite: '/new' } },
        {
          match: { prefix: '/' },
          redirect: { host_redirect: 'new.test', path_redirect: '/p', response_code: 'FOUND' },
        },
      ],
    });
    const direct = await proxied.proxy.get('/direct');
    expect([direct.status, direct.body.toString(), direct.header('content-type')]).toEqual([
      418,
      'tea',
      'text/plain',
    ]);
    expect((await proxied.proxy.get('/empty')).status).toBe(204);
    const moved = await proxied.proxy.get('/else');
    expect([moved.status, moved.header('location')]).toEqual([302, 'http://new.test/p']);
    const rewritten = await proxied.proxy.get('/old/x');
    expect(rewritten.header('location')).toBe('http://test/new/x');
    expect(summary(await proxied.entry(3))).toBe('302 - direct_response');
    const { request } = await proxied.entry(4);
    expect([request?.path, request?.get('x-envoy-original-path')]).toEqual(['/new/x', '/old/x']);
    expect(proxied.proxy.stat('http.ingress.rq_direct_response')).toBe(2);
    expect(proxied.proxy.stat('http.ingress.rq_redirect')).toBe(2);
  });

  test('bodies by format, locations, and headers of the route', async () => {
    await using proxied = await startRouter({
      routes: [
        {
          match: { path: '/json' },
          direct_response: { status: 201, body_format: { json_format: { path: '%REQ(:path)%' } } },
          response_headers_to_add: [{ header: { key: 'x-path', value: '%REQ(:path)%' } }],
        },
        {
          match: { prefix: '/' },
          direct_response: {
            status: 200,
            body: { inline_string: 'tea' },
            body_format: { text_format: '<%LOCAL_REPLY_BODY%> %PROTOCOL%', content_type: 'text/html' },
          },
        },
      ],
    });
    const answers = [await proxied.proxy.get('/json'), await proxied.proxy.get('/')];
    expect(
      answers.map((answer) => [
        answer.status,
        answer.body.toString(),
        ...['content-type', 'content-length', 'location', 'x-path'].map((name) => answer.header(name)),
      ]),
    ).toEqual([
      [201, '{"path":"/json"}\n', 'application/json', '17', 'http://test/json', '/json'],
      [200, '<tea> HTTP/1.1', 'text/html', '14', undefined, undefined],
    ]);
  });
});

describe('stats', () => {
  test('of a good answer, by origin', async () => {
    await using upstream = await HttpUpstream.start(text('x', 201));
    await using proxied = await startRouter(to(upstream.port));
    await proxied.proxy.get('/');
    for (const name of [
      'upstream_rq_201',
      'upstream_rq_2xx',
      'upstream_rq_completed',
      'upstream_rq_total',
      'external.upstream_rq_2xx',
      'upstream_cx_http1_total',
    ])
      expect([name, proxied.proxy.stat(`cluster.c.${name}`)]).toEqual([name, 1]);
    const { info } = await proxied.entry();
    expect(info.upstreamHost?.address.port).toBe(upstream.port);
    expect(info.upstreamCluster).toBe('c');
  });

  test('internal requests and canary answers have names of their own', async () => {
    await using upstream = await HttpUpstream.start(
      reply({ headers: { 'x-envoy-upstream-canary': 'true', 'content-length': '0' } }),
    );
    await using proxied = await startRouter(
      to(
        upstream.port,
        {},
        {
          manager: INTERNAL,
        },
      ),
    );
    await proxied.proxy.get('/');
    expect(proxied.proxy.stat('cluster.c.internal.upstream_rq_2xx')).toBe(1);
    expect(proxied.proxy.stat('cluster.c.canary.upstream_rq_2xx')).toBe(1);
  });

  test('dynamic_stats: false leaves them out', async () => {
    await using upstream = await HttpUpstream.start(text('x'));
    await using proxied = await startRouter(to(upstream.port, {}, { router: { dynamic_stats: false } }));
    await proxied.proxy.get('/');
    expect(proxied.proxy.proxy.stats.counters.has('cluster.c.upstream_rq_200')).toBe(false);
  });
});

describe('bodies', () => {
  test('a request body that comes before the connection is there waits for it', async () => {
    await using upstream = await HttpUpstream.start(echo());
    await using proxied = await startRouter(to(upstream.port));
    const big = 'abcdefgh'.repeat(40_000);
    const response = await proxied.proxy.send('POST', '/', [], big);
    expect(response.body.toString() === big).toBe(true);
    const { info } = await proxied.entry();
    expect([info.bytesReceived, info.bytesSent]).toEqual([big.length, big.length]);
  });

  test('one that waits for a connection above the limit stops the client', async () => {
    await using hole = await BlackHole.start();
    await using proxied = await startRouter(
      to(hole.port, {}, { listener: { per_connection_buffer_limit_bytes: 16_384 } }),
    );
    await using client = await proxied.proxy.connect();
    void client.write(requestText('POST', '/', ['content-length: 4000000']), Buffer.alloc(4_000_000, 'a'));
    await proxied.proxy.untilStat('http.ingress.downstream_flow_control_paused_reading_total', 1);
    expect(proxied.proxy.stat('cluster.c.upstream_flow_control_backed_up_total')).toBe(1);
    proxied.clock.advance(5000);
    expect((await client.readResponse()).status).toBe(503);
    await proxied.proxy.untilStat('http.ingress.downstream_rq_active', 0);
  });

  test('back-pressure from a slow upstream to the client, and on again', async () => {
    const size = 16_000_000;
    const gate = new Gate();
    await using upstream = await RawUpstream.start(async (connection) => {
      await connection.readUntil('\r\n\r\n');
      connection.pause();
      await gate.pass();
      connection.resume();
      for (let got = 0; got < size; ) got += (await connection.readSome()).length;
      await connection.write('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone');
    });
    await using proxied = await startRouter(to(upstream.port));
    await using client = await proxied.proxy.connect();
    const sent = client.write(requestText('POST', '/', [`content-length: ${size}`]), Buffer.alloc(size, 'a'));
    await proxied.proxy.untilStat('cluster.c.upstream_flow_control_backed_up_total', 1);
    expect(upstream.connections[0]?.bytesReceived).toBeLessThan(size / 2);
    gate.open();
    expect((await client.readResponse()).body.toString()).toBe('done');
    await sent;
    expect(proxied.proxy.stat('cluster.c.upstream_flow_control_drained_total')).toBeGreaterThan(0);
    expect(proxied.proxy.stat('http.ingress.downstream_flow_control_resumed_reading_total')).toBe(
      proxied.proxy.stat('http.ingress.downstream_flow_control_paused_reading_total'),
    );
  });

  test('back-pressure from a slow client to the upstream, and on again', async () => {
    const size = 32_000_000;
    await using upstream = await HttpUpstream.start(({ response }) => {
      response.writeHead(200, { 'content-length': `${size}` });
      response.end(Buffer.alloc(size, 'b'));
    });
    await using proxied = await startRouter(to(upstream.port));
    await using client = await proxied.proxy.connect();
    client.pause();
    await client.write(requestText('GET', '/'));
    await proxied.proxy.untilStat('cluster.c.upstream_flow_control_paused_reading_total', 1);
    client.resume();
    const head = await client.readUntil('\r\n\r\n');
    expect(head).toContain(`content-length: ${size}`);
    for (let got = 0; got < size; ) got += (await client.readSome()).length;
    await proxied.entry();
    expect(proxied.proxy.stat('cluster.c.upstream_flow_control_resumed_reading_total')).toBe(
      proxied.proxy.stat('cluster.c.upstream_flow_control_paused_reading_total'),
    );
  });

  test('trailers, both ways', async () => {
    const trailing = { http_protocol_options: { enable_trailers: true } };
    await using upstream = await RawUpstream.start(async (connection) => {
      const request = await connection.readUntil('x-up: 1\r\n\r\n');
      expect(request).toContain('\r\n0\r\nx-up: 1');
      await connection.write(
        'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx-down: 2\r\n\r\n',
      );
    });
    await using proxied = await startRouter({
      clusters: {
        c: {
          load_assignment: {
            cluster_name: 'c',
            endpoints: [
              {
                lb_endpoints: [
                  {
                    endpoint: {
                      address: { socket_address: { address: '127.0.0.1', port_value: upstream.port } },
                    },
                  },
                ],
              },
            ],
          },
          typed_extension_protocol_options: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
              '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
              explicit_http_config: { http_protocol_options: { enable_trailers: true } },
            },
          },
        },
      },
      manager: trailing,
    });
    await using client = await proxied.proxy.connect();
    await client.write(
      'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nx-up: 1\r\n\r\n',
    );
    const response = await client.readResponse();
    expect([response.body.toString(), response.trailers]).toEqual(['a', [['x-down', '2']]]);
  });

  test('bytes of heads and of the wire are logged, on both sides', async () => {
    await using upstream = await RawUpstream.start(async (connection) => {
      for (let i = 0; i < 2; i++) {
        await connection.readUntil('\r\n\r\nhi');
        await connection.write('HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc');
      }
    });
    await using proxied = await startRouter(to(upstream.port));
    await using client = await proxied.proxy.connect();
    for (let i = 1; i <= 2; i++) {
      await client.write('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi');
      const response = await client.readResponse();
      const { info } = await proxied.entry(i);
      const head = 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n'.length;
      expect([info.downstreamHeaderBytesReceived, info.downstreamWireBytesReceived]).toEqual([
        head,
        head + 2,
      ]);
      expect(info.downstreamWireBytesSent - info.downstreamHeaderBytesSent).toBe(response.body.length);
      expect(info.upstreamHeaderBytesReceived).toBe('HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n'.length);
      expect(info.upstreamWireBytesReceived - info.upstreamHeaderBytesReceived).toBe(3);
      expect(info.upstreamWireBytesSent - info.upstreamHeaderBytesSent).toBe(2);
      expect(info.upstreamHeaderBytesSent).toBeGreaterThan(head - 20);
    }
  });

  test('early hints come through', async () => {
    await using upstream = await HttpUpstream.start(({ response }) => {
      response.writeEarlyHints({ link: '</a>; rel=preload' });
      response.end('x');
    });
    await using proxied = await startRouter(to(upstream.port, {}, { manager: { proxy_100_continue: true } }));
    await using client = await proxied.proxy.connect();
    await client.write(requestText('GET', '/'));
    const [hints, final] = await client.readResponses(2);
    expect([hints?.status, hints?.header('link'), final?.status]).toEqual([103, '</a>; rel=preload', 200]);
  });
});

describe('config', () => {
  test.each([['start_child_span', true]] as const)('%s is refused by name', async (field, value) => {
    await expect(startRouter({ router: { [field]: value } as never })).rejects.toThrow(
      new RegExp(
        `http_filters\\[0\\]\\.typed_config\\.${field}: ${field} of envoy\\.extensions\\.filters\\.http\\.router\\.v3\\.Router is not supported yet`,
      ),
    );
  });
});

test('every field of the router is dealt with', () => {
  const refused = ['start_child_span'];
  const acting = [
    'dynamic_stats',
    'suppress_envoy_headers',
    'respect_expected_rq_timeout',
    'strict_check_headers',
    'suppress_grpc_request_failure_code_stats',
    'upstream_log',
    'upstream_log_options',
    'upstream_http_filters',
  ];
  expect(RouterSchema.fields.map(({ name }) => name).sort()).toEqual([...refused, ...acting].sort());
});
