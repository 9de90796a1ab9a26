import type { Explanation } from '@dragoman/server';
import { describe, expect, it, test } from 'vitest';
import { address, CLUSTERS, file, hcm, manager, run } from './explain-support.ts';

const ROUTES = `
              name: local
              virtual_hosts:
              - name: shop
                domains: [shop.example, "*.shop.example"]
                include_request_attempt_count: true
                response_headers_to_add: [{ header: { key: x-by, value: us } }]
                routes:
                - name: beta
                  match:
                    prefix: /cart
                    headers: [{ name: x-beta, string_match: { exact: "yes" } }]
                    query_parameters: [{ name: b, present_match: true }]
                  route: { cluster: beta }
                - { match: { safe_regex: { regex: "/users/[0-9]+" } }, route: { cluster: users } }
                - { name: grpc, match: { prefix: /, grpc: {} }, route: { cluster: users } }
                - name: cart
                  match: { prefix: /cart }
                  request_headers_to_add: [{ header: { key: x-route, value: cart } }]
                  request_headers_to_remove: [x-secret]
                  route:
                    prefix_rewrite: /v2/cart
                    timeout: 3s
                    weighted_clusters: { clusters: [{ name: beta, weight: 1 }, { name: users, weight: 3 }] }
                - { name: old, match: { path: /old }, redirect: { path_redirect: /new, response_code: FOUND } }
                - { name: tea, match: { path: /tea }, direct_response: { status: 418, body: { inline_string: short } } }
                - { name: by-header, match: { path: /named }, route: { cluster_header: x-cluster } }
              - name: safe
                domains: [safe.example]
                require_tls: ALL
                routes: [{ match: { prefix: / }, route: { cluster: beta } }]`;

const CONFIG = file(
  'envoy.yaml',
  `
static_resources:
  listeners:
  - { name: tcp, address: ${address(7000)}, filter_chains: [{ filters: [{ name: t, typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: t, cluster: beta } }] }] }
  - name: web
    address: ${address(8080)}
    filter_chains:${manager(ROUTES)}
  - name: chains
    address: ${address(9090)}
    filter_chains:
${['inside', 'wide']
  .map((name, i) =>
    manager('{ name: none }').replace(
      '- filters:',
      `- name: ${name}\n        filter_chain_match: { source_prefix_ranges: [{ address_prefix: 10.0.0.0, prefix_len: ${i === 0 ? 24 : 8} }] }\n        filters:`,
    ),
  )
  .join('\n')}
${CLUSTERS}
`,
);

async function explained(...argv: string[]): Promise<Explanation> {
  const { code, out, err } = await run('-c', CONFIG, '--json', ...argv);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return JSON.parse(out);
}

describe('the verdict', () => {
  it.each<[request: string, verdict: string, flags?: string[]]>([
    [
      'http://shop.example/cart',
      'goes to the cluster "beta" with this draw (25 % of the requests), by the route "cart"',
    ],
    [
      'POST http://shop.example/cart?b',
      'goes to the cluster "users" with this draw (75 % of the requests), by the route "cart"',
      ['--random', '1'],
    ],
    [
      'http://shop.example/cart?b=1',
      'goes to the cluster "beta", by the route "beta"',
      ['-H', 'X-Beta: yes'],
    ],
    ['http://a.shop.example/old', '302 to http://a.shop.example/new, by the route "old"'],
    ['http://shop.example/tea', '418 with a body of 5 bytes, by the route "tea"'],
    ['http://shop.example/users/7', 'goes to the cluster "users", by virtual_hosts[0].routes[1]'],
    ['http://shop.example/carts/../tea', '418 with a body of 5 bytes, by the route "tea"'],
    ['http://shop.example/named', '503, there is no cluster "" (response flag NC), by the route "by-header"'],
    [
      'http://shop.example/named',
      '503, there is no cluster "ghost" (response flag NC), by the route "by-header"',
      ['-H', 'x-cluster: ghost'],
    ],
    ['http://safe.example/x', '301 to https://safe.example/x, by require_tls of the virtual host "safe"'],
    ['http://shop.example/%00', 'the connection manager answers 400 (path_normalization_failed)'],
    ['http://x:1/', 'no listener takes the request: the client cannot connect'],
    ['http://x:7000/', 'the bytes are not looked at as HTTP'],
    ['http://x:9090/', 'no filter chain fits: the connection is closed'],
    [
      'http://x:8080/',
      '404, response flag NR: no virtual host has a domain for "x:8080"; there are shop.example, *.shop.example, safe.example',
    ],
    [
      'http://shop.example/cat',
      '404, response flag NR: no route of the virtual host "shop" matches; nearest in the virtual host "shop" is routes[2] "grpc", but for its grpc',
    ],
  ])('%s: %s', async (request, verdict, flags = []) => {
    const named = /:\d+\//.test(request);
    const result = await explained(request, ...(named ? [] : ['--listener-name', 'web']), ...flags);
    expect(result.verdict).toBe(verdict);
  });
});

test('a request that goes upstream is explained step by step', async () => {
  const web = [
    '--listener-name',
    'web',
    '--from',
    '8.8.8.8:1234',
    '-H',
    'x-secret: s',
    '-H',
    'x-envoy-internal: true',
  ];
  const result = await explained('GET http://shop.example/cart/%2e/1?q', ...web);
  expect(result.request).toEqual({
    method: 'GET',
    scheme: 'http',
    authority: 'shop.example',
    path: '/cart/%2e/1?q',
    from: '8.8.8.8:1234',
    serverName: '',
  });
  expect(result.listener).toEqual({
    name: 'web',
    path: 'static_resources.listeners[1]',
    address: '0.0.0.0:8080',
  });
  const { http } = result;
  expect(http?.received).toEqual(
    expect.arrayContaining([
      { name: ':path', before: '/cart/%2e/1?q', after: '/cart/1?q' },
      { name: 'x-envoy-internal', before: 'true' },
      { name: 'x-envoy-external-address', after: '8.8.8.8' },
    ]),
  );
  expect(http?.virtualHost).toEqual({ path: 'virtual_hosts[0]', name: 'shop', domain: 'shop.example' });
  expect(http?.passed).toEqual([
    {
      path: 'virtual_hosts[0].routes[0]',
      name: 'beta',
      why:
        'headers[0] {"name":"x-beta","string_match":{"exact":"yes"}} does not hold: the request has no x-beta; ' +
        'query_parameters[0] {"name":"b","present_match":true} does not hold: the request has no b',
    },
    {
      path: 'virtual_hosts[0].routes[1]',
      name: '',
      why: 'the path "/cart/1?q" does not match /users/[0-9]+',
    },
    { path: 'virtual_hosts[0].routes[2]', name: 'grpc', why: 'grpc {} does not hold' },
  ]);
  expect(http?.route).toEqual({ path: 'virtual_hosts[0].routes[3]', name: 'cart' });
  expect(http?.action).toEqual({
    kind: 'forward',
    cluster: 'beta',
    chosen: 0,
    notFoundStatus: 503,
    clusters: [
      { name: 'beta', percent: 25, hosts: { total: 1, type: 'STATIC' } },
      { name: 'users', percent: 75, hosts: { total: 0, type: 'STRICT_DNS' } },
    ],
    requestChanges: [
      { name: ':path', before: '/cart/1?q', after: '/v2/cart/1?q' },
      { name: 'x-route', after: 'cart' },
      { name: 'x-envoy-original-path', after: '/cart/1?q' },
      { name: 'x-secret', before: 's' },
    ],
  });
  expect(http?.settings).toEqual([
    { name: 'timeout', value: '3s', from: 'route' },
    { name: 'stream_idle_timeout', value: '300s', from: 'default' },
    { name: 'include_request_attempt_count', value: true, from: 'virtual host' },
  ]);
  expect(http?.filters).toEqual([{ name: 'envoy.filters.http.router', enabled: true, perRoute: false }]);
  expect(http?.responseChanges).toEqual([{ name: 'x-by', after: 'us' }]);
});

const OTHER = file(
  'other.yaml',
  `
static_resources:
  listeners:
  - name: scopes
    address: ${address(8081)}
    filter_chains:${hcm(`scoped_routes:
  name: by-tenant
  scope_key_builder: { fragments: [{ header_value_extractor: { name: x-tenant, index: 0 } }] }
  scoped_route_configurations_list:
    scoped_route_configurations:
    - name: a
      key: { fragments: [{ string_key: a }] }
      route_configuration: { name: of-a, virtual_hosts: [{ name: v, domains: ["*"], routes: [{ name: all, match: { prefix: / }, route: { cluster: beta } }] }] }`)}
  - name: tree
    address: ${address(8082)}
    filter_chains:${hcm(`route_config:
  name: treed
  vhost_header: x-host
  virtual_hosts:
  - name: v
    domains: [tree.example]
    matcher:
      matcher_tree:
        input: { name: h, typed_config: { "@type": type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput, header_name: x-kind } }
        exact_match_map:
          map:
            gold: { action: { name: r, typed_config: { "@type": type.googleapis.com/envoy.config.route.v3.Route, name: golden, match: { prefix: / }, route: { cluster: beta } } } }`)}
${CLUSTERS}
`,
);

test.each<[request: string, header: string, verdict: string, routeConfig: string]>([
  ['http://x:8081/', 'x-tenant: a', 'goes to the cluster "beta", by the route "all"', 'of-a'],
  ['http://x:8081/', 'x-tenant: b', '404, response flag NR: no scope has the key of the request', ''],
  [
    'http://x:8082/',
    'x-host: tree.example',
    '404, response flag NR: no route of the virtual host "v" matches; no route of the virtual host "v" is near',
    'treed',
  ],
  [
    'http://x:8082/',
    'x-host: y',
    '404, response flag NR: no virtual host has a domain for "y"; there are tree.example',
    'treed',
  ],
])('%s with %s: %s', async (request, header, verdict, routeConfig) => {
  const { out, err } = await run('-c', OTHER, '--json', request, '-H', header);
  expect(err).toBe('');
  const result: Explanation = JSON.parse(out);
  expect([result.verdict, result.http?.routeConfig]).toEqual([verdict, routeConfig]);
});

test('a route of a tree is told by its name', async () => {
  const { out } = await run(
    '-c',
    OTHER,
    '--json',
    'http://x:8082/',
    '-H',
    'x-host: tree.example',
    '-H',
    'x-kind: gold',
  );
  const result: Explanation = JSON.parse(out);
  expect(result.http?.route).toEqual({ path: 'virtual_hosts[0].matcher', name: 'golden' });
});

test.each<[from: string, chain: string, why: string[]]>([
  ['10.0.0.9', 'inside', ['another chain is more specific in source_prefix_ranges']],
  ['10.9.0.9', 'wide', ['its filter_chain_match.source_prefix_ranges does not fit the connection']],
])('a client from %s gets the filter chain %s', async (from, name, why) => {
  const result = await explained('http://x:9090/', '--from', from);
  expect(result.filterChain?.name).toBe(name);
  expect(result.filterChainsPassed.map((passed) => passed.why)).toEqual(why);
});

test('as text', async () => {
  const { out } = await run('-c', CONFIG, 'https://shop.example/cart', '--listener-name', 'web');
  expect(out.replace(/x-request-id: .*/, 'x-request-id: …')).toMatchInlineSnapshot(`
    "GET https://shop.example/cart from 127.0.0.1:0
    => goes to the cluster "beta" with this draw (25 % of the requests), by the route "cart"

    note: the filter chain does not speak TLS: taken as if a proxy before this one had ended it
    listener "web" on 0.0.0.0:8080 (static_resources.listeners[1])
    filter chain (no name) (static_resources.listeners[1].filter_chains[0])
    connection manager "web"
      sets :scheme: http
      sets x-forwarded-proto: http (was https)
      sets x-forwarded-for: 127.0.0.1
      sets x-envoy-internal: true
      sets x-request-id: …
    virtual host "shop" by its domain "shop.example" (virtual_hosts[0])
    not route "beta" (virtual_hosts[0].routes[0]): headers[0] {"name":"x-beta","string_match":{"exact":"yes"}} does not hold: the request has no x-beta; query_parameters[0] {"name":"b","present_match":true} does not hold: the request has no b
    not route (no name) (virtual_hosts[0].routes[1]): the path "/cart" does not match /users/[0-9]+
    not route "grpc" (virtual_hosts[0].routes[2]): grpc {} does not hold
    route "cart" (virtual_hosts[0].routes[3])
      cluster "beta", 25 % of the requests (this draw): STATIC, 1 host
      cluster "users", 75 % of the requests: STRICT_DNS, 0 hosts
      sends upstream :path: /v2/cart (was /cart)
      sends upstream x-route: cart
      sends upstream x-envoy-original-path: /cart
      timeout: "3s" (route)
      stream_idle_timeout: "300s" (default)
      include_request_attempt_count: true (virtual host)
    filters
      envoy.filters.http.router
    response
      changes x-by: us
    "
  `);
});

test.each<[name: string, argv: string[], err: string]>([
  ['no file', ['http://x/'], 'a configuration is needed: --config-path (-c)'],
  [
    'no request',
    ['-c', CONFIG],
    "one request is needed, in quotes: 'GET https://example.com/path'; see --help",
  ],
  [
    'a path',
    ['-c', CONFIG, '/x'],
    `"/x" is no request; expected a method and a whole URL, as in 'GET https://example.com/path' or 'CONNECT example.com:443'`,
  ],
  ['a user', ['-c', CONFIG, 'http://me@x/'], '"http://me@x/" is no request; '],
  ['a CONNECT to a URL', ['-c', CONFIG, 'CONNECT http://x/y'], '"CONNECT http://x/y" is no request; '],
  [
    'a CONNECT',
    ['-c', CONFIG, 'CONNECT x:443'],
    'a CONNECT does not say which listener it comes to: name the listener',
  ],
  ['no port', ['-c', CONFIG, 'http://x:0/'], '"x:0": the port must be from 1 to 65535'],
  ['a header', ['-c', CONFIG, 'http://x/', '-H', 'x'], '"x" is no header; expected name: value'],
  ['a header name', ['-c', CONFIG, 'http://x/', '-H', 'a b: c'], '"a b" is not a header name'],
  ['a value', ['-c', CONFIG, 'http://x/', '-H', 'a: b\r\nc'], 'the value of a may not contain NUL, CR or LF'],
  [
    'a client',
    ['-c', CONFIG, 'http://x/', '--from', 'here'],
    '"here" is not an IP address, as in 203.0.113.7 or [2001:db8::1]:4321',
  ],
  ['a draw', ['-c', CONFIG, 'http://x/', '--random', '-1'], ''],
  [
    'a listener',
    ['-c', CONFIG, 'http://x/', '--listener-name', 'w'],
    'there is no listener "w"; there are "tcp", "web", "chains"',
  ],
])('what cannot be explained is said: %s', async (_, argv, err) => {
  const result = await run(...argv);
  expect(result).toMatchObject({ code: 1, out: '' });
  expect(result.err).toContain(`dragoman explain: ${err}`);
});

test('a configuration that is wrong is told as at start, with file and line', async () => {
  const wrong = file('wrong.yaml', `static_resources:\n  listeners: [{ name: x, adress: ${address(1)} }]\n`);
  const { code, err } = await run('-c', wrong, 'http://x:1/');
  expect(code).toBe(1);
  expect(err).toMatch(/^wrong\.yaml:2:\d+: .*adress/);
  const refused = file(
    'refused.yaml',
    `static_resources:\n  listeners:\n  - name: web\n    address: ${address(1)}\n    filter_chains:${manager('{ virtual_hosts: [{ name: v, domains: ["*"], cors: {} }] }')}\n`,
  );
  expect((await run('-c', refused, 'http://x:1/')).err).toMatch(
    /^refused\.yaml:\d+:\d+: .*route_config\.virtual_hosts\[0\]\.cors/,
  );
});
