import { createServer, type IncomingMessage } from 'node:http';
import { exchange, HttpUpstream, RawUpstream, type RecordedRequest, text } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { cluster, prefixRoute } from './support/config.ts';
import { type ProxySetup, type TestProxy, withProxy } from './support/proxy.ts';

/** What the upstream got of one request, sent byte for byte; undefined when nothing was forwarded. */
async function forwarded(
  request: string,
  setup: ProxySetup = {},
): Promise<{ status: number; got: RecordedRequest | undefined }> {
  await using upstream = await HttpUpstream.start(text('ok'));
  let status = 0;
  await withProxy({ upstream, ...setup }, async (proxy) => {
    status = (await proxy.send(request)).status;
  });
  return { status, got: upstream.requests[0] };
}

const get = (path: string, headers = ''): string =>
  `GET ${path} HTTP/1.1\r\nhost: a.example\r\n${headers}\r\n`;

describe('paths', () => {
  /** A route to be kept from the outside stands before one for everything. */
  const guarded: ProxySetup = {
    routes: [{ match: { prefix: '/admin' }, direct_response: { status: 403 } }, prefixRoute('/', 'upstream')],
    manager: {
      normalize_path: true,
      merge_slashes: true,
      path_with_escaped_slashes_action: 'UNESCAPE_AND_REDIRECT',
    },
  };

  it.each([
    '/admin',
    '/admin/x',
    '//admin',
    '/./admin',
    '/x/../admin',
    '/x/%2e%2e/admin',
    '/x/%2E./admin',
    '/x/.%2e/admin',
    '/%61dmin',
    '/x/..//admin',
    '/\\admin',
    '/x\\..\\admin',
    '/x/..\\admin',
    '/a/b/../../admin',
    '/%2fadmin',
    '/x/..%2fadmin',
    '/x%5c..%5cadmin',
    '/../admin',
    '/%2e%2e/admin',
    '/x/../../admin',
    '/x/..;/admin',
    '/x/..;a=b/admin',
    '/.;/admin',
    '/admin#x',
    '/x/../admin#x',
  ])('%s does not get round the guard of /admin', async (path) => {
    const { status, got } = await forwarded(get(path), guarded);
    // Refused, or sent back with the normalised path, which is refused then. What is never done: forwarding it.
    expect([403, 307, 400]).toContain(status);
    expect(got).toBeUndefined();
  });

  it.each([
    ['/x/./y', '/x/y'],
    ['/x/%2e/y', '/x/y'],
    ['/x/../y?q=/../z', '/y?q=/../z'],
    ['/x//y', '/x/y'],
    ['/x/%7Ey', '/x/~y'],
    ['/x;a=b/../y', '/y'],
    ['/x/.;/y', '/x/y'],
    ['/x/..;/y', '/y'],
    ['/x/..;a=b/y', '/y'],
    ['/..', '/'],
    ['/../y', '/y'],
  ])('%s is matched and forwarded as %s', async (path, normalised) => {
    const { got } = await forwarded(get(path), guarded);
    expect(got?.path).toBe(normalised);
  });

  it('a prefix is taken off the normalised path, not off the one that was sent', async () => {
    const setup: ProxySetup = {
      ...guarded,
      routes: [prefixRoute('/public/', 'upstream', { prefix_rewrite: '/' })],
    };
    for (const path of [
      '/public/../secret',
      '/public/%2e%2e/secret',
      '/public/..%2fsecret',
      '/public/..\\secret',
    ]) {
      const { got } = await forwarded(get(path), setup);
      expect(got, path).toBeUndefined();
    }
    expect((await forwarded(get('/public/./x'), setup)).got?.path).toBe('/x');
    expect((await forwarded(get('//public//x'), setup)).got?.path).toBe('/x');
  });

  it.each(['/%', '/%2', '/%zz', '/%e0%80%af', '/%ff%fe', '/a?%', '/%u0041', '/%00'])(
    'a bad %%-escape (%s) breaks nothing',
    async (path) => {
      for (const setup of [{}, guarded]) {
        const { status, got } = await forwarded(get(path), setup);
        expect([200, 400]).toContain(status);
        if (status === 200) expect(got?.path).toBe(path);
      }
    },
  );

  it('regex routes meet bytes that are not UTF-8 without failing open', async () => {
    const setup: ProxySetup = {
      routes: [
        { match: { safe_regex: { regex: '/secret.*' } }, direct_response: { status: 403 } },
        { match: { safe_regex: { regex: '/public/[a-z]+' } }, route: { cluster: 'upstream' } },
      ],
    };
    for (const path of ['/secret\xff', '/secret\xc3\x28', '/public/\xff', '/public/a\xe2\x28']) {
      const { status, got } = await forwarded(get(path), setup);
      expect([400, 403, 404], path).toContain(status);
      expect(got).toBeUndefined();
    }
  });
});

describe('hosts', () => {
  const virtualHosts = [
    {
      name: 'inside',
      domains: ['internal.example', '*.inside.example'],
      routes: [prefixRoute('/', 'upstream')],
    },
    { name: 'rest', domains: ['*'], routes: [{ match: { prefix: '/' }, direct_response: { status: 403 } }] },
  ];

  it.each([
    ['internal.example', 200],
    ['INTERNAL.example', 200],
    ['a.inside.example', 200],
    ['notinternal.example', 403],
    ['internal.example.evil', 403],
    ['internal.example.', 403],
    ['xinternal.example', 403],
    ['internal.exampleevil', 403],
    ['inside.example', 403],
    ['ainside.example', 403],
    ['a.inside.example.evil', 403],
    ['evil.com#internal.example', 400],
    ['internal.example@evil.com', 400],
    ['internal.example, evil.com', 400],
  ])('%s: %i', async (host, expected) => {
    const { status } = await forwarded(`GET / HTTP/1.1\r\nhost: ${host}\r\n\r\n`, { virtualHosts });
    expect(status).toBe(expected);
  });
});

describe('headers that the proxy vouches for', () => {
  const FORGED = [
    'x-envoy-internal: true',
    'x-envoy-retry-on: 5xx',
    'x-envoy-max-retries: 100',
    'x-envoy-upstream-rq-timeout-ms: 1',
    'x-envoy-upstream-rq-per-try-timeout-ms: 1',
    'x-envoy-expected-rq-timeout-ms: 1',
    'x-envoy-force-trace: true',
    'x-envoy-decorator-operation: x',
    'x-envoy-downstream-service-cluster: forged',
    'x-envoy-downstream-service-node: forged',
    'x-envoy-original-path: /forged',
    'x-envoy-original-host: forged',
    'x_envoy_original_path: /forged',
    'x-envoy-hedge-on-per-try-timeout: true',
    'x-envoy-ip-tags: forged',
    'x-forwarded-client-cert: forged',
    'X-ENVOY-Internal: true',
  ].join('\r\n');
  /** An edge whose client's address is not internal: the trusted hop in front of it is the test. */
  const edge: ProxySetup = { manager: { use_remote_address: true, xff_num_trusted_hops: 1 } };
  const OUTSIDE = 'x-forwarded-for: 203.0.113.9\r\n';

  it('from outside, none of x-envoy-* passes', async () => {
    const { status, got } = await forwarded(get('/', `${OUTSIDE}${FORGED}\r\n`), edge);
    expect(status).toBe(200);
    const left = got?.rawHeaders.filter(([name, value]) => /^x[-_]envoy/i.test(name) && value !== '15000');
    expect(left?.map(([name, value]) => `${name}: ${value}`)).toEqual([
      'x-envoy-external-address: 203.0.113.9',
    ]);
    expect(got?.header('x-forwarded-client-cert')).toBeUndefined();
  });

  it('x-forwarded-for is added to, x-forwarded-proto replaced', async () => {
    const { got } = await forwarded(get('/', 'x-forwarded-for: 10.0.0.1\r\nx-forwarded-proto: https\r\n'), {
      manager: { use_remote_address: true },
    });
    expect(got?.header('x-forwarded-for')).toMatch(/^10\.0\.0\.1,[\d.]+$/);
    expect(got?.header('x-forwarded-proto')).toBe('http');
  });

  it.each([
    'X-Forwarded-For',
    'X-Forwarded-Proto',
    'X-Request-Id',
    'Host',
    'X-Envoy-External-Address',
    'Content-Length',
  ])('Connection: %s takes nothing of it away', async (name) => {
    const { status, got } = await forwarded(get('/', `${OUTSIDE}connection: close, ${name}\r\n`), edge);
    if (status !== 200) {
      expect(status).toBe(400);
      expect(got).toBeUndefined();
      return;
    }
    expect(got?.header('x-forwarded-for')).toMatch(/^203\.0\.113\.9,[\d.]+$/);
    expect(got?.header('x-forwarded-proto')).toBe('http');
    expect(got?.header('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    expect(got?.header('host')).toBe('a.example');
    expect(got?.header('x-envoy-external-address')).toBe('203.0.113.9');
  });

  it('hop-by-hop headers end at the proxy', async () => {
    const { got } = await forwarded(
      get(
        '/',
        'connection: keep-alive, x-mine\r\nkeep-alive: 5\r\nproxy-connection: keep-alive\r\nx-mine: 1\r\nte: trailers\r\n',
      ),
    );
    for (const name of ['keep-alive', 'proxy-connection']) expect(got?.header(name)).toBeUndefined();
  });

  it('a name with _ is no alias of one with -', async () => {
    const aliases = 'x_forwarded_for: 6.6.6.6\r\nx_envoy_internal: true\r\nx_request_id: forged\r\n';
    const reject = { common_http_protocol_options: { headers_with_underscores_action: 'REJECT_REQUEST' } };
    const drop = { common_http_protocol_options: { headers_with_underscores_action: 'DROP_HEADER' } };
    expect((await forwarded(get('/', aliases), { manager: reject })).got).toBeUndefined();
    const { got } = await forwarded(get('/', aliases), { manager: drop });
    expect(got?.rawHeaders.filter(([name]) => name.includes('_'))).toEqual([]);
    // Allowed (Envoy's default), they stay what they are and are not read as the others.
    const plain = await forwarded(get('/', aliases), edge);
    expect(plain.got?.header('x-forwarded-for')).toMatch(/^(?!6\.6)[\d.]+$/);
  });

  it.each(['Content_Length: 5', 'Transfer_Encoding: chunked'])('%s is never forwarded', async (header) => {
    expect(await forwarded(get('/', `${header}\r\n`))).toEqual({ status: 400, got: undefined });
  });
});

describe('what the upstream must not be told before it agrees', () => {
  const recorder = async (answer: string) => {
    const received: string[] = [];
    const upstream = await RawUpstream.start(async (connection) => {
      received.push(await connection.readUntil('\r\n\r\n'));
      await connection.write(answer);
      received.push(await connection.readUntilClose());
    });
    return { upstream, received };
  };

  it('bytes behind an upgrade request are not forwarded; upgrades are refused here', async () => {
    const { upstream, received } = await recorder('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
    await withProxy({ upstream }, async (proxy) => {
      await using client = await proxy.connect();
      await client.write(
        'GET /ws HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n',
      );
      const all = await client.readUntilClose();
      expect(all).toMatch(/^HTTP\/1\.1 403 /);
      expect(all.match(/^HTTP/gm)).toHaveLength(1);
      expect(received).toEqual([]);
      expect((await proxy.log())[0]).toMatchObject({ status: 403, details: 'upgrade_failed' });
    });
  });

  it('bytes behind CONNECT are not forwarded; without a route for it CONNECT gets 404', async () => {
    const { upstream, received } = await recorder('HTTP/1.1 200 OK\r\n\r\n');
    await withProxy({ upstream }, async (proxy) => {
      await using client = await proxy.connect();
      await client.write(
        'CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n',
      );
      const all = await client.readUntilClose();
      expect(all).toMatch(/^HTTP\/1\.1 404 /);
      expect(all.match(/^HTTP/gm)).toHaveLength(1);
      expect(received).toEqual([]);
    });
  });

  it('a 101 or a 200 of the upstream switches nothing', async () => {
    const { upstream } = await recorder(
      'HTTP/1.1 200 OK\r\nconnection: upgrade\r\nupgrade: x\r\ncontent-length: 2\r\n\r\nokraw',
    );
    await withProxy({ upstream }, async (proxy) => {
      const response = await proxy.get();
      expect([response.status, response.body.toString(), response.header('upgrade')]).toEqual([
        200,
        'ok',
        undefined,
      ]);
    });
  });

  it('h2c is not offered on', async () => {
    const { got } = await forwarded(
      get('/', 'connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n'),
    );
    expect(got?.header('upgrade')).toBeUndefined();
    expect(got?.header('http2-settings')).toBeUndefined();
  });
});

describe('what an operator reads', () => {
  const attack = async (request: string): Promise<TestProxy['rawLog'] extends () => infer L ? L : never> => {
    let lines: string[] = [];
    await using upstream = await HttpUpstream.start(text('ok'));
    await withProxy({ upstream }, async (proxy) => {
      await using client = await proxy.connect();
      await client.write(request);
      await client.readResponse();
      await proxy.log();
      lines = proxy.rawLog();
    });
    return lines;
  };

  it.each([
    ['quotes and braces', 'x","status":200,"y":"'],
    ['an escape sequence', 'x\\n\\r\\u000a{"method":"FORGED"}'],
    ['C1 controls', 'x\x85\x9b31m\x9d'],
    ['bytes that are not UTF-8', 'x\xff\xfe\xc0\x80'],
    ['line separators', 'x\xe2\x80\xa8y\xe2\x80\xa9'],
  ])('%s in a header make one line, which still parses', async (_, value) => {
    const [line, ...more] = await attack(
      `GET /${encodeURI('x')} HTTP/1.1\r\nhost: a\r\nuser-agent: ${value}\r\n\r\n`,
    );
    expect(more).toEqual([]);
    expect(JSON.parse(line)).toMatchObject({ method: 'GET', path: '/x', status: 200 });
    expect(line).not.toMatch(/[\x00-\x1f]/);
  });

  it('a CR or LF in a header is refused, and logged on one line', async () => {
    const [line, ...more] = await attack('GET / HTTP/1.1\r\nhost: a\r\nuser-agent: x\rGET /forged\r\n\r\n');
    expect(more).toEqual([]);
    expect(JSON.parse(line)).toMatchObject({ status: 400, flags: 'DPE' });
  });

  it('the default text format stays one line as well', async () => {
    await using upstream = await HttpUpstream.start(text('ok'));
    await withProxy({ upstream, bootstrap: {}, manager: {} }, async (proxy) => {
      await proxy.get('/x%0aGET', 'user-agent: "quoted" \\n\r\nx-forwarded-for: 1.2.3.4" "\r\n');
      expect(await proxy.log()).toHaveLength(1);
    });
  });
});

describe('a response that the proxy itself writes', () => {
  it('a redirect cannot be split', async () => {
    const routes = [{ match: { prefix: '/' }, redirect: { https_redirect: true } }];
    for (const path of ['/%0d%0aset-cookie:%20a', '/x?%0d%0aset-cookie', '/\\evil', '//evil.example/']) {
      await withProxy({ routes }, async (proxy) => {
        const all = await exchange({ port: proxy.port }, get(path, 'connection: close\r\n'));
        expect(all).toMatch(/^HTTP\/1\.1 301 /);
        expect(all).not.toMatch(/^set-cookie/im);
        expect(all).toMatch(/^location: https:\/\/a\.example\//m);
      });
    }
  });
});

describe('odd targets on the way to the upstream', () => {
  it.each([
    '/a|b',
    '/a"b',
    '/<a>',
    '/{a}',
    '/a^b',
    '/a`b',
    "/a'b",
    '/~',
    '/a%20b',
    '/%0d%0aX:%20y',
    '/\x80',
    '/ä',
  ])('%s arrives as one request line, or not at all', async (path) => {
    const seen: string[] = [];
    const server = createServer((message: IncomingMessage, response) => {
      seen.push(`${message.method} ${message.url} ${message.headers.x}`);
      response.end('ok');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const upstream = {
      port,
      stop: () => new Promise<void>((resolve) => server.close(() => resolve())),
    };
    await withProxy({ upstream, clusters: [cluster('other', [port])] }, async (proxy) => {
      const { status } = await proxy.get(path);
      if (status === 200) expect(seen).toEqual([`GET ${path} undefined`]);
      else expect([status, seen]).toEqual([400, []]);
    });
  });
});
