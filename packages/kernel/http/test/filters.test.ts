import { StructSchema } from '@dragoman/api';
import {
  ConfigError,
  type HttpFilter,
  type HttpFilterExtension,
  type HttpStream,
  type TerminalHttpStream,
} from '@dragoman/core';
import { describe, expect, test } from 'vitest';
import { ask, ManagerRig, ok, respond } from './manager-rig.ts';

const POST = ['POST / HTTP/1.1', 'content-length: 2'] as const;
const TRAILERS = { http_protocol_options: { enable_trailers: true } };

describe('the filter chain', () => {
  test('requests run first to last, responses last to first, the end in order', async () => {
    const seen: string[] = [];
    const filter = (name: string): HttpFilter => ({
      onRequestHeaders: () => void seen.push(`${name} request headers`),
      onRequestBody: () => void seen.push(`${name} request body`),
      onResponseHeaders: () => void seen.push(`${name} response headers`),
      onResponseBody: () => void seen.push(`${name} response body`),
      onComplete: () => void seen.push(`${name} complete`),
    });
    const rig = new ManagerRig({ filters: { a: filter('a'), b: filter('b') } });
    await rig.request(...POST);
    await rig.send('hi');
    expect(seen).toEqual([
      'a request headers',
      'b request headers',
      'a request body',
      'b request body',
      'b response headers',
      'a response headers',
      'b response body',
      'a response body',
      'a complete',
      'b complete',
    ]);
    expect(rig.upstream).toEqual(['POST /', 'body:hi!', 'complete']);
  });

  test('trailers too, both ways', async () => {
    const seen: string[] = [];
    const rig = new ManagerRig({
      manager: TRAILERS,
      filters: {
        a: {
          onRequestTrailers: (trailers) => void seen.push(`request ${trailers.get('x-t')}`),
          onResponseTrailers: (trailers) => void seen.push(`response ${trailers.get('x-u')}`),
        },
      },
      upstream: {
        headers() {},
        trailers(stream, trailers) {
          stream.sendHeaders(respond(200), false);
          trailers.set('x-u', 'back');
          stream.sendTrailers(trailers);
        },
      },
    });
    await rig.request('POST / HTTP/1.1', 'transfer-encoding: chunked');
    await rig.send('0\r\nx-t: there\r\n\r\n');
    expect(seen).toEqual(['request there', 'response back']);
    expect(rig.response.trailers).toContainEqual(['x-u', 'back']);
    expect(rig.lastLog.responseTrailers?.get('x-u')).toBe('back');
  });

  test('trailers that filters add, both ways, with and without a body', async () => {
    for (const body of ['', 'hi']) {
      const rig = new ManagerRig({
        manager: TRAILERS,
        filters: {
          adder: (stream: HttpStream): HttpFilter => ({
            onRequestHeaders: (_, endStream) => {
              if (endStream) stream.addRequestTrailers().set('x-a', '1');
            },
            onRequestBody: (_, endStream) => {
              if (endStream) stream.addRequestTrailers().set('x-a', '1');
            },
            onResponseBody: (_, endStream) => {
              if (endStream) stream.addResponseTrailers().set('x-b', '2');
            },
          }),
        },
      });
      await rig.request('POST / HTTP/1.1', `content-length: ${body.length}`);
      if (body !== '') await rig.send(body);
      expect(rig.upstream.slice(0, -1)).toEqual(['POST /', ...(body === '' ? [] : ['body:hi']), 'trailers']);
      expect(rig.streams[0]?.requestTrailers?.get('x-a')).toBe('1');
      // With a content-length there is no place for trailers on the wire; they are in the log all the same.
      expect(rig.lastLog.responseTrailers?.get('x-b')).toBe('2');
    }
  });

  test('a filter that replies: the terminal one sees nothing, response hooks see the reply', async () => {
    const seen: number[] = [];
    const rig = await ask({
      filters: {
        watcher: { onResponseHeaders: (headers) => void seen.push(headers.status) },
        guard: (stream: HttpStream): HttpFilter => ({
          onRequestHeaders: () => {
            stream.reply({ status: 403, body: 'no', details: 'guarded' });
            return 'pause';
          },
          onResponseHeaders: (headers) => void headers.set('x-guard', 'yes'),
        }),
        after: { onRequestHeaders: () => void seen.push(-1) },
      },
    });
    expect([rig.response.status, rig.response.header('x-guard')]).toEqual([403, 'yes']);
    expect(seen).toEqual([403]);
    expect(rig.upstream).toEqual(['complete']);
    expect(rig.logged).toEqual(['403 guarded -']);
  });

  test('a reply while the request body is still coming', async () => {
    const rig = new ManagerRig({
      filters: {
        guard: (stream: HttpStream): HttpFilter => ({
          onRequestBody: () => {
            stream.reply({ status: 403, details: 'guarded' });
            return 'collect';
          },
        }),
      },
      upstream: { headers() {} },
    });
    await rig.request('POST / HTTP/1.1', 'content-length: 4');
    await rig.send('ab');
    await rig.send('cd');
    await rig.request();
    expect(rig.responses().map(({ status }) => status)).toEqual([403]);
    expect(rig.upstream).toEqual(['POST /', 'complete', 'GET /']);
  });

  test('a reply after the response headers were held takes their place', async () => {
    const rig = await ask({
      filters: {
        late: (stream: HttpStream): HttpFilter => ({
          onResponseHeaders: () => {
            stream.reply({ status: 502, body: 'bad', details: 'late' });
          },
        }),
      },
    });
    expect([rig.response.status, rig.response.body.toString()]).toEqual([502, 'bad']);
    expect(rig.logged).toEqual(['502 late -']);
  });

  test('what the upstream still sends while filters hold a local reply is not mixed into it', async () => {
    let handle: HttpStream | undefined;
    const rig = new ManagerRig({
      filters: {
        holder: (stream: HttpStream): HttpFilter => {
          handle = stream;
          return { onResponseHeaders: () => 'pause' };
        },
      },
      upstream: { headers() {} },
    });
    await rig.request();
    handle?.reply({ status: 429, body: 'slow down', details: 'limited' });
    const [terminal] = rig.streams as [TerminalHttpStream];
    terminal.sendHeaders(respond(200), false);
    terminal.sendBody(Buffer.from('from upstream'), true, false);
    handle?.resumeResponse();
    await rig.run();
    expect([rig.response.status, rig.response.body.toString()]).toEqual([429, 'slow down']);
  });

  test('promises hold the request and the response', async () => {
    const gate = Promise.withResolvers<void>();
    const rig = await ask({
      filters: { waits: { onRequestHeaders: () => gate.promise, onResponseHeaders: async () => {} } },
    });
    expect(rig.upstream).toEqual([]);
    gate.resolve();
    await rig.run();
    expect(rig.response.status).toBe(200);
  });

  test('answers that come after the stream is gone do nothing', async () => {
    const gate = Promise.withResolvers<void>();
    let handle: HttpStream | undefined;
    const rig = await ask({
      filters: {
        late: (stream: HttpStream): HttpFilter => {
          handle = stream;
          return { onRequestHeaders: () => gate.promise };
        },
      },
    });
    rig.pair.client.close('reset');
    await rig.run();
    gate.resolve();
    handle?.reply({ status: 500, details: 'late' });
    handle?.resumeRequest();
    handle?.resumeResponse();
    handle?.reset('local-reset');
    await rig.run();
    expect(rig.logged).toEqual(['0 downstream_remote_disconnect DC']);
    expect(rig.upstream).toEqual(['complete']);
  });

  test.each<[name: string, upstream: (stream: TerminalHttpStream) => void, cut: boolean, complete: boolean]>([
    ['headers alone', (stream) => stream.sendHeaders(respond(204), true), false, true],
    [
      'a body',
      (stream) => {
        stream.sendHeaders(respond(200), false);
        stream.sendBody(Buffer.from('all'), true, true);
      },
      false,
      true,
    ],
    ['a reply of the proxy', (stream) => stream.reply({ status: 503, details: 'no' }), false, true],
    [
      'an upstream that breaks off',
      (stream) => {
        stream.sendHeaders(respond(200), false);
        stream.reset('local-reset');
      },
      false,
      false,
    ],
    ['a client that goes', (stream) => stream.sendHeaders(respond(200), false), true, false],
  ])('whether the response was complete is known at the end: %s', async (_, headers, cut, complete) => {
    const seen: boolean[] = [];
    const rig = await ask({
      filters: {
        watcher: (stream: HttpStream): HttpFilter => ({
          onResponseHeaders: () => void seen.push(stream.info.responseComplete),
          onComplete: () => void seen.push(stream.info.responseComplete),
        }),
      },
      upstream: { headers: (stream) => headers(stream) },
    });
    if (cut) rig.pair.client.close('reset');
    await rig.run();
    expect(seen).toEqual([false, complete]);
  });

  describe('limits', () => {
    const collect = (stream: HttpStream): HttpFilter => {
      stream.bufferLimit = 4;
      return { onRequestBody: () => 'collect', onResponseBody: () => 'collect' };
    };

    test('a request body that a filter collects above its limit: 413', async () => {
      const rig = new ManagerRig({
        filters: {
          collect: (stream: HttpStream) => ({ onRequestBody: collect(stream).onRequestBody }) as HttpFilter,
        },
      });
      await rig.request('POST / HTTP/1.1', 'content-length: 5');
      await rig.send('abcde');
      expect([rig.response.status, rig.response.body.toString()]).toEqual([413, 'Payload Too Large']);
      expect(rig.logged).toEqual(['413 request_payload_too_large -']);
      expect(rig.stat('downstream_rq_too_large')).toBe(1);
    });

    test('a response body likewise: 500 while its headers wait, cut when they are gone', async () => {
      const big = { headers: (stream: TerminalHttpStream) => ok(stream, 'abcde') };
      const cut = await ask({ filters: { collect }, upstream: big });
      expect(cut.logged).toEqual(['200 response_payload_too_large -']);
      expect([cut.stat('rs_too_large'), cut.closed]).toEqual([1, true]);
      const held = await ask({
        filters: {
          collect: (stream: HttpStream): HttpFilter => ({
            ...collect(stream),
            onResponseHeaders: () => 'collect',
          }),
        },
        upstream: big,
      });
      expect([held.response.status, held.response.body.toString()]).toEqual([500, 'Internal Server Error']);
      expect(held.logged).toEqual(['500 response_payload_too_large -']);
    });

    test('a request that a filter pauses stops the peer above the limit, and goes on after it', async () => {
      let handle: HttpStream | undefined;
      const rig = new ManagerRig({
        connection: { chunkBytes: 4 },
        filters: {
          holder: (stream: HttpStream): HttpFilter => {
            handle = stream;
            stream.bufferLimit = 6;
            return { onRequestHeaders: () => 'pause' };
          },
        },
      });
      await rig.request('POST / HTTP/1.1', 'content-length: 20');
      await rig.send('abcdefghijklmnopqrst');
      expect(handle?.heldRequestBody.reduce((sum, { length }) => sum + length, 0)).toBeLessThan(16);
      expect(rig.stat('downstream_flow_control_paused_reading_total')).toBe(1);
      handle?.resumeRequest();
      await rig.run();
      const body = rig.upstream.filter((entry) => entry.startsWith('body:')).map((entry) => entry.slice(5));
      expect(body.join('')).toBe('abcdefghijklmnopqrst!');
      expect(rig.response.status).toBe(200);
    });
  });
});

describe('a factory that answers the request itself', () => {
  test.each(['', 'body'])(
    'ends the stream: what was made is completed once, nothing more is made (%s)',
    async (body) => {
      const made: string[] = [];
      const completed: string[] = [];
      const plain = (name: string) => (): HttpFilter => {
        made.push(name);
        return { onComplete: () => void completed.push(name) };
      };
      const rig = await ask({
        filters: {
          first: plain('first'),
          answers: (stream: HttpStream): HttpFilter => {
            stream.reply({ status: 418, body, details: 'test' });
            return plain('answers')();
          },
          last: plain('last'),
        },
      });
      expect([rig.response.status, rig.response.body.toString()]).toEqual([418, body]);
      expect(rig.logged).toEqual(['418 test -']);
      expect([made, completed]).toEqual([
        ['first', 'answers'],
        ['first', 'answers'],
      ]);
      expect(rig.requests).toEqual([]);
    },
  );
});

describe('filters with bugs', () => {
  const bug = (): never => {
    throw new Error('oops');
  };
  const late = async (): Promise<void> => {
    throw new Error('oops');
  };
  const early: Record<string, HttpFilter | ((stream: HttpStream) => HttpFilter)> = {
    'in its factory': bug,
    onRequestHeaders: { onRequestHeaders: bug },
    'onRequestHeaders, later': { onRequestHeaders: late },
    onRequestBody: { onRequestBody: bug },
    'onRequestBody, later': { onRequestBody: late },
    onRequestTrailers: { onRequestTrailers: bug },
    onInformational: { onInformational: bug },
    onResponseHeaders: { onResponseHeaders: bug },
    'onResponseHeaders, later': { onResponseHeaders: late },
  };
  const chunked = async (rig: ManagerRig) => {
    await rig.request('POST / HTTP/1.1', 'transfer-encoding: chunked');
    await rig.send('2\r\nhi\r\n0\r\nx-t: 1\r\n\r\n');
  };
  const upstream = {
    headers: (stream: TerminalHttpStream) => stream.informational(respond(103)),
    trailers: (stream: TerminalHttpStream) => ok(stream),
  };

  test.each(Object.entries(early))('%s: 500, and the log names the filter', async (_, filter) => {
    let completed = 0;
    const rig = new ManagerRig({
      manager: { ...TRAILERS, proxy_100_continue: true },
      filters: { good: { onComplete: () => void completed++ }, bad: filter },
      upstream,
    });
    await chunked(rig);
    const final = rig.responses().at(-1);
    expect(final?.status).toBe(500);
    expect(rig.logged).toEqual(['500 filter_chain_error -']);
    expect(
      rig.context.loggers.lines.filter((line) =>
        /error: \[C\d+\]\[S\d+\] filter bad failed: Error: oops/.test(line),
      ),
    ).toHaveLength(1);
    expect(completed).toBe(1);
    expect(rig.stat('downstream_rq_active')).toBe(0);
  });

  test.each(['onResponseBody', 'onResponseTrailers'] as const)(
    '%s, when the response has begun: it is cut',
    async (hook) => {
      const rig = new ManagerRig({
        manager: TRAILERS,
        filters: { bad: { [hook]: bug } },
        upstream: {
          headers(stream) {
            stream.sendHeaders(respond(200), false);
            stream.sendBody(Buffer.from('x'), false, false);
            stream.sendTrailers(stream.addResponseTrailers());
          },
        },
      });
      await rig.request();
      expect(rig.logged).toEqual(['200 filter_chain_error -']);
      expect([rig.closed, rig.stat('downstream_rq_tx_reset')]).toEqual([true, 1]);
      expect(rig.context.loggers.lines.some((line) => line.includes('filter bad failed'))).toBe(true);
    },
  );

  test('onComplete: the response is out, the log has a line, others are still told', async () => {
    let told = false;
    const rig = await ask({
      filters: { bad: { onComplete: bug }, good: { onComplete: () => void (told = true) } },
    });
    expect(rig.logged).toEqual(['200 via_upstream -']);
    expect(told).toBe(true);
    expect(rig.context.loggers.lines.some((line) => line.includes('filter bad failed'))).toBe(true);
  });

  test('the terminal filter: also behind a promise', async () => {
    for (const filters of [{}, { waits: { onRequestHeaders: async () => {} } }] as Record<
      string,
      HttpFilter
    >[]) {
      const rig = await ask({ filters, upstream: { headers: bug } });
      expect(rig.response.status).toBe(500);
      expect(rig.context.loggers.lines.some((line) => line.includes('filter terminal failed'))).toBe(true);
    }
    const rig = new ManagerRig({ upstream: { headers() {}, body: bug } });
    await rig.request(...POST);
    await rig.send('hi');
    expect(rig.response.status).toBe(500);
  });

  test('the other requests of the connection are served', async () => {
    let calls = 0;
    const rig = new ManagerRig({
      filters: {
        bad: {
          onRequestHeaders: () => {
            if (++calls === 2) bug();
          },
        },
      },
    });
    for (let i = 0; i < 3; i++) await rig.request();
    expect(rig.responses().map(({ status }) => status)).toEqual([200, 500, 200]);
  });

  test('an access logger that throws is logged, and the others run', async () => {
    const seen: number[] = [];
    const rig = await ask({
      context: {
        accessLoggers: () => [{ log: bug }, { log: ({ info }) => void seen.push(info.responseCode) }],
      },
    });
    expect(seen).toEqual([200]);
    expect(rig.context.loggers.lines.some((line) => line.includes('access log failed'))).toBe(true);
  });
});

describe('per-route configs', () => {
  const STRUCT = 'type.googleapis.com/google.protobuf.Struct';
  const level = (value: string) => ({ extra: { '@type': STRUCT, value: { level: value } } });

  /** A filter that shows its per-route configs in response headers. */
  const extra = (): HttpFilterExtension =>
    ({
      category: 'http-filters',
      name: 'extra',
      terminal: false,
      config: undefined,
      perRoute: StructSchema,
      createPerRoute(config: { fields: { level: { kind: { value: string } } } }) {
        const { value } = config.fields.level.kind;
        if (value === 'bad') throw ConfigError.at('level', 'bad is no level');
        return value;
      },
      create: () => (stream: HttpStream) => ({
        onResponseHeaders(headers: { set(name: string, value: string): void }) {
          headers.set('x-one', stream.perRouteConfig<string>() ?? 'none');
          headers.set('x-all', stream.perRouteConfigs<string>().join(','));
        },
      }),
    }) as unknown as HttpFilterExtension;

  const rig = (routes: object[], manager: object = {}, entry: object = {}) =>
    new ManagerRig({
      extensions: [extra()],
      manager: {
        route_config: {
          virtual_hosts: [{ name: 'v', domains: ['*'], routes, typed_per_filter_config: level('vhost') }],
          typed_per_filter_config: level('table'),
        },
        http_filters: [{ name: 'extra', ...entry }, { name: 'terminal' }],
        ...manager,
      } as never,
    });

  test('the most specific wins; all are there, least specific first', async () => {
    const it = rig([
      { match: { path: '/own' }, route: { cluster: 'c' }, typed_per_filter_config: level('route') },
      { match: { prefix: '/' }, route: { cluster: 'c' } },
    ]);
    await it.request('GET /own HTTP/1.1');
    await it.request('GET /other HTTP/1.1');
    expect(it.responses().map((response) => [response.header('x-one'), response.header('x-all')])).toEqual([
      ['route', 'table,vhost,route'],
      ['vhost', 'table,vhost'],
    ]);
  });

  test('FilterConfig.disabled turns a filter off or on for a route', async () => {
    const FILTER_CONFIG = 'type.googleapis.com/envoy.config.route.v3.FilterConfig';
    const off = { extra: { '@type': FILTER_CONFIG, disabled: true } };
    const on = { extra: { '@type': FILTER_CONFIG, config: { '@type': STRUCT, value: { level: 'on' } } } };
    const routes = [
      { match: { path: '/off' }, route: { cluster: 'c' }, typed_per_filter_config: off },
      { match: { path: '/on' }, route: { cluster: 'c' }, typed_per_filter_config: on },
      { match: { prefix: '/' }, route: { cluster: 'c' } },
    ];
    const enabled = rig(routes);
    await enabled.request('GET /off HTTP/1.1');
    await enabled.request('GET /on HTTP/1.1');
    expect(enabled.responses().map((response) => response.header('x-one'))).toEqual([undefined, 'on']);
    const disabled = new ManagerRig({
      extensions: [extra()],
      manager: {
        route_config: { virtual_hosts: [{ name: 'v', domains: ['*'], routes }] },
        http_filters: [{ name: 'extra', disabled: true }, { name: 'terminal' }],
      } as never,
    });
    await disabled.request('GET / HTTP/1.1');
    await disabled.request('GET /on HTTP/1.1');
    expect(disabled.responses().map((response) => response.header('x-one'))).toEqual([undefined, 'on']);
  });

  test('a bad one is a config error with its path', () => {
    expect(() =>
      rig([{ match: { prefix: '/' }, route: { cluster: 'c' }, typed_per_filter_config: level('bad') }]),
    ).toThrow(
      /route_config\.virtual_hosts\[0\]\.routes\[0\]\.typed_per_filter_config.*extra.*level: bad is no level/,
    );
  });

  test('one of a filter that the proxy does not have names its package', () => {
    expect(() =>
      rig([
        {
          match: { prefix: '/' },
          route: { cluster: 'c' },
          typed_per_filter_config: {
            'envoy.filters.http.cors': {
              '@type': 'type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy',
            },
          },
        },
      ]),
    ).toThrow('@dragoman/http-filter-cors');
  });

  test('the route is found once, and again after clearRouteCache', async () => {
    const names: (string | undefined)[] = [];
    const it = new ManagerRig({
      routes: [
        { name: 'first', match: { prefix: '/a' }, route: { cluster: 'c' } },
        { name: 'second', match: { prefix: '/b' }, route: { cluster: 'c' } },
      ],
      filters: {
        moves: (stream: HttpStream): HttpFilter => ({
          onRequestHeaders(headers) {
            names.push(stream.route?.routeName);
            headers.path = '/b';
            names.push(stream.route?.routeName);
            stream.clearRouteCache();
            names.push(stream.route?.routeName);
          },
        }),
      },
    });
    await it.request('GET /a HTTP/1.1');
    expect(names).toEqual(['first', 'first', 'second']);
    expect(it.lastLog.info.route?.routeName).toBe('second');
  });
});
