import { HttpUpstream, RawUpstream, text } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { cluster, type Message, prefixRoute } from './support/config.ts';
import { withProxy } from './support/proxy.ts';

const PREDICATES = 'type.googleapis.com/envoy.extensions.internal_redirect';
const ALLOW_LISTED = {
  name: 'allow_listed_routes',
  typed_config: {
    '@type': `${PREDICATES}.allow_listed_routes.v3.AllowListedRoutesConfig`,
    allowed_route_names: ['open'],
  },
};
const SAFE_CROSS_SCHEME = {
  name: 'safe_cross_scheme',
  typed_config: { '@type': `${PREDICATES}.safe_cross_scheme.v3.SafeCrossSchemeConfig` },
};

/** Answers everything with a redirect to `location`, written as it is. */
const redirecting = (location: string, status = 302, more = '') =>
  RawUpstream.start(async (connection) => {
    for (;;) {
      const head = await connection.readUntil('\r\n\r\n').catch(() => undefined);
      if (head === undefined) return;
      await connection.write(
        Buffer.from(
          `HTTP/1.1 ${status} X\r\nlocation: ${location}\r\n${more}content-length: 0\r\n\r\n`,
          'latin1',
        ),
      );
    }
  });

/** For tests in which nothing goes there. */
const NO_TARGET = [cluster('target', [])];

const hosts = (policy: Message): Message[] => [
  {
    name: 'outside',
    domains: ['a.example'],
    routes: [prefixRoute('/', 'upstream', { internal_redirect_policy: policy, timeout: '2s' })],
  },
  {
    name: 'targets',
    domains: ['target.example', 'target.example:80', '[::1]', '127.0.0.1'],
    routes: [
      { match: { prefix: '/guarded' }, direct_response: { status: 403, body: { inline_string: 'guard' } } },
      { name: 'secret', ...prefixRoute('/secret', 'target') },
      { name: 'open', ...prefixRoute('/', 'target') },
    ],
  },
  { name: 'rest', domains: ['*'], routes: [{ match: { prefix: '/' }, direct_response: { status: 421 } }] },
];

/** What the client sees, and what the target got, of a redirect to `location`. */
async function redirect(location: string, policy: Message = {}, request = get('/first'), status = 302) {
  await using target = await HttpUpstream.start(text('target'));
  await using upstream = await redirecting(location, status);
  let seen = { status: 0, body: '', location: undefined as string | undefined };
  await withProxy(
    {
      upstream,
      clusters: [cluster('target', [target.port])],
      virtualHosts: hosts(policy),
      manager: { normalize_path: true, merge_slashes: true },
    },
    async (proxy) => {
      await using client = await proxy.connect();
      await client.write(request);
      const response = await client.readResponse();
      seen = {
        status: response.status,
        body: response.body.toString(),
        location: response.header('location'),
      };
      // The connection is in order: the next request gets its own answer.
      await client.write('GET /guarded HTTP/1.1\r\nhost: target.example\r\n\r\n');
      expect((await client.readResponse()).body.toString()).toBe('guard');
      await target.stop();
    },
  );
  return { ...seen, requests: target.requests };
}

const get = (path: string, more = ''): string => `GET ${path} HTTP/1.1\r\nhost: a.example\r\n${more}\r\n`;

describe('the location of an internal redirect', () => {
  it.each<[location: string, path: string, host?: string]>([
    ['http://target.example', '/'],
    ['http://target.example/', '/'],
    ['HTTP://TARGET.example/x', '/x', 'TARGET.example'],
    ['http://target.example:80/x', '/x', 'target.example:80'],
    ['http://target.example?q=1', '/?q=1'],
    ['http://target.example/x#fragment', '/x'],
    ['http://target.example/x?a=b?c=d', '/x?a=b?c=d'],
    ['http://target.example/%0d%0aset-cookie:%20a=b', '/%0d%0aset-cookie:%20a=b'],
    ['http://target.example//evil.example/', '/evil.example/'],
    ['http://127.0.0.1/x', '/x', '127.0.0.1'],
    ['http://[::1]/x', '/x', '[::1]'],
  ])('%s is followed as a request of %s', async (location, path, host = 'target.example') => {
    const { status, body, requests } = await redirect(location);
    expect([status, body]).toEqual([200, 'target']);
    expect(requests.map((one) => [one.method, one.path, one.header('host')])).toEqual([['GET', path, host]]);
  });

  it.each([
    '/relative',
    'relative',
    '//target.example/x',
    '\\\\target.example\\x',
    'http:\\\\target.example\\x',
    'http:/target.example/x',
    'http:///target.example/x',
    'http:target.example',
    'http://',
    'http://:80/',
    'http://user@target.example/',
    'http://user:secret@target.example/',
    'http://target.example@evil.example/',
    'http://target.example\\@evil.example/',
    'http://target.example\\x',
    'http://target.example/x y',
    'http://target.example/\tx',
    'http://target.example/x HTTP/1.1',
    'http://target.example/\x80',
    'http://tar get.example/',
    'http://target.example,evil.example/',
    'http://target.example%00.evil.example/',
    'http://target.example:99999999/',
    'http://target.example:x/',
    'http://[::1/',
    'http://[::1]x/',
    'ftp://target.example/',
    'javascript:alert(1)',
    'data:text/html,x',
    'https://target.example/',
    'ws://target.example/',
    '',
    ' ',
    '?q',
    '#f',
    '*',
    `http://${'a'.repeat(20_000)}.example/`.replace('http', 'gopher'),
  ])('%s goes to the client as it is', async (location) => {
    const { status, requests, location: told } = await redirect(location);
    expect([status, requests.length]).toEqual([302, 0]);
    expect(told ?? '').toBe(location.trim());
  });

  it.each([
    ['CR LF', 'http://target.example/\r\nset-cookie: a=b', 302],
    ['LF', 'http://target.example/\nset-cookie: a=b', 502],
    ['CR', 'http://target.example/\rset-cookie: a=b', 502],
    ['NUL', 'http://target.example/\0x', 502],
  ])('with %s makes no other request', async (_, location) => {
    const { requests, status } = await redirect(location);
    for (const request of requests) {
      expect(request.path).toBe('/');
      expect(request.header('set-cookie')).toBeUndefined();
    }
    expect(requests.length === 0 ? status : 200).toBe(status);
  });

  it.each([
    'http://target.example/guarded',
    'http://target.example//guarded',
    'http://target.example/x/../guarded',
    'http://target.example/x/%2e%2e/guarded',
    'http://target.example/./guarded',
  ])('%s does not get round a guard of its target', async (location) => {
    const { status, requests } = await redirect(location);
    // What is forwarded is what was matched: the guard answers, or the path goes as it was matched.
    if (requests.length === 0) expect([403, 302]).toContain(status);
    else for (const { path } of requests) expect(path.startsWith('/guarded')).toBe(false);
    for (const { path } of requests) expect(location.endsWith(path)).toBe(true);
  });

  it.each([
    ['http://target.example/open', 200],
    ['http://target.example/secret', 302],
    ['http://target.example//secret', 302],
    ['http://target.example/x/../secret', 302],
    ['http://target.example/x/%2e%2e/secret', 302],
    ['http://target.example/secret/../open', 200],
  ])('%s is judged by allow_listed_routes as it will be matched: %i', async (location, expected) => {
    const { status, requests } = await redirect(location, { predicates: [ALLOW_LISTED] });
    expect(status).toBe(expected);
    for (const { path } of requests) expect(path).toBe('/open');
  });

  it('two of them are not followed, whatever they say', async () => {
    await using target = await HttpUpstream.start(text('target'));
    await using upstream = await redirecting(
      'http://target.example/a',
      302,
      'location: http://target.example/b\r\n',
    );
    await withProxy(
      { upstream, clusters: [cluster('target', [target.port])], virtualHosts: hosts({}) },
      async (proxy) => {
        const response = await proxy.send(get('/'));
        // One of them, and the client is answered once.
        expect([200, 302]).toContain(response.status);
        expect(target.requests.length).toBeLessThan(2);
        await target.stop();
      },
    );
  });
});

describe('schemes', () => {
  const https = 'https://target.example/x';
  const forwarded = get('/', 'x-forwarded-proto: https\r\n');

  it.each<[what: string, location: string, policy: Message, request: string, followed: boolean]>([
    ['http to https', https, {}, get('/'), false],
    ['http to https, allowed', https, { allow_cross_scheme_redirect: true }, get('/'), true],
    ['http to https, the safe way only', https, { allow_cross_scheme_redirect: true, predicates: [SAFE_CROSS_SCHEME] }, get('/'), false],
    // Who says so has no TLS all the same: nothing of https may come back to it.
    ['what calls itself https to http', 'http://target.example/', {}, forwarded, true],
    ['what calls itself https to https', https, {}, forwarded, false],
    ['what calls itself https to https, the safe way only', https, { allow_cross_scheme_redirect: true, predicates: [SAFE_CROSS_SCHEME] }, forwarded, false],
  ])('%s', async (_, location, policy, request, followed) => {
    const { status, requests } = await redirect(location, policy, request);
    expect([status, requests.length]).toEqual(followed ? [200, 1] : [302, 0]);
  }); // biome-ignore format: a table
});

describe('what a redirect may not change', () => {
  it('headers that the upstream sends are not taken, unless they are named', async () => {
    await using target = await HttpUpstream.start(text('target'));
    const more = 'x-evil: 1\r\nx-named: 2\r\nx-envoy-internal: true\r\nx-forwarded-for: 6.6.6.6\r\n';
    await using upstream = await redirecting('http://target.example/', 302, more);
    const policy = { response_headers_to_copy: ['x-named'] };
    await withProxy(
      { upstream, clusters: [cluster('target', [target.port])], virtualHosts: hosts(policy) },
      async (proxy) => {
        await proxy.send(get('/', 'x-named: from the client\r\n'));
        const [request] = target.requests;
        expect(request?.header('x-evil')).toBeUndefined();
        expect(request?.header('x-forwarded-for')).not.toBe('6.6.6.6');
        expect(request?.rawHeaders.filter(([name]) => name === 'x-named')).toEqual([['x-named', '2']]);
        await target.stop();
      },
    );
  });

  it.each([301, 302, 303, 307, 308])(
    '%i of a POST with a body sends it whole, or as GET without',
    async (code) => {
      const policy = { redirect_response_codes: [301, 302, 303, 307, 308] };
      const post = 'POST /first HTTP/1.1\r\nhost: a.example\r\ncontent-length: 5\r\n\r\nhello';
      const { status, requests } = await redirect('http://target.example/', policy, post, code);
      expect(status).toBe(200);
      const [request] = requests;
      const body = (await request?.body)?.toString();
      expect([request?.method, body, request?.header('content-length')]).toEqual(
        code === 303 ? ['GET', '', undefined] : ['POST', 'hello', '5'],
      );
    },
  );

  it('a body that is not complete yet keeps the redirect from being followed', async () => {
    await using upstream = await redirecting('http://a.example/');
    await withProxy({ upstream, clusters: NO_TARGET, virtualHosts: hosts({}) }, async (proxy) => {
      await using client = await proxy.connect();
      await client.write('POST / HTTP/1.1\r\nhost: a.example\r\ncontent-length: 10\r\n\r\nhello');
      expect((await client.readResponse()).status).toBe(302);
      expect(upstream.connections.length).toBe(1);
    });
  });
});

describe('loops', () => {
  it.each([
    [0, 1],
    [1, 2],
    [5, 6],
  ])('max_internal_redirects %i: the upstream is asked %i times', async (max, asked) => {
    let requests = 0;
    await using upstream = await HttpUpstream.start(({ response }) => {
      requests++;
      response.writeHead(302, { location: 'http://a.example/again', 'content-length': '0' }).end();
    });
    const policy = { max_internal_redirects: max };
    await withProxy({ upstream, clusters: NO_TARGET, virtualHosts: hosts(policy) }, async (proxy) => {
      expect((await proxy.send(get('/'))).status).toBe(302);
      expect(requests).toBe(asked);
      expect(proxy.stat('http.test.downstream_rq_3xx')).toBe(1);
      expect(proxy.stat('http.test.passthrough_internal_redirect_too_many_redirects')).toBe(1);
    });
  });

  it('a client that says it was redirected before gains nothing', async () => {
    let requests = 0;
    await using upstream = await HttpUpstream.start(({ response }) => {
      requests++;
      response.writeHead(302, { location: 'http://a.example/', 'content-length': '0' }).end();
    });
    const policy = { max_internal_redirects: 2 };
    await withProxy({ upstream, clusters: NO_TARGET, virtualHosts: hosts(policy) }, async (proxy) => {
      const forged = 'num_internal_redirects: -100\r\nx-envoy-original-url: http://evil.example/\r\n';
      await proxy.send(get('/', forged));
      expect(requests).toBe(3);
      for (const request of upstream.requests.slice(1))
        expect(request.rawHeaders.filter(([name]) => name === 'x-envoy-original-url')).toEqual([
          ['x-envoy-original-url', expect.stringMatching(/^http:\/\/a\.example\//)],
        ]);
    });
  });

  it('with retries on every hop the upstream is asked a bounded number of times', async () => {
    let requests = 0;
    await using upstream = await HttpUpstream.start(({ response }) => {
      requests++;
      if (requests % 2 === 1) response.writeHead(503, { 'content-length': '0' }).end();
      else response.writeHead(302, { location: 'http://b.example/', 'content-length': '0' }).end();
    });
    const routes = [
      prefixRoute('/', 'upstream', {
        internal_redirect_policy: { max_internal_redirects: 3 },
        retry_policy: {
          retry_on: '5xx',
          num_retries: 2,
          retry_back_off: { base_interval: '0.001s' },
        },
      }),
    ];
    await withProxy({ upstream, routes }, async (proxy) => {
      expect((await proxy.send(get('/'))).status).toBe(302);
      expect(requests).toBe(8);
      expect(proxy.used(/circuit_breakers.*rq_(retry_)?open/)).toEqual({});
    });
  });
});
