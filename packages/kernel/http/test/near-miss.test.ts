import { expect, test, vi } from 'vitest';
import { request, streamInfo, tableOf } from './routes-support.ts';

const MANY = Array.from({ length: 300 }, (_, i) => `{ match: { path: /many/${i} }, route: { cluster: a } }`);
const TABLE = tableOf(`
virtual_hosts:
- name: shop
  domains: [shop.example]
  routes:
  - { name: beta, match: { prefix: /cart, headers: [{ name: x-a }, { name: x-beta }] }, route: { cluster: a } }
  - { match: { path: /Users, case_sensitive: false }, route: { cluster: a } }
  - { name: "the items", match: { path_separated_prefix: /items }, route: { cluster: a } }
  - { name: ids, match: { safe_regex: { regex: "/id/[0-9]+" }, grpc: {} }, route: { cluster: a } }
- name: tunnel
  domains: [tunnel.example]
  routes:
  - { match: { prefix: / }, route: { cluster: a } }
  - { name: out, match: { connect_matcher: {}, headers: [{ name: x-out }] }, route: { cluster: a } }
- { name: none, domains: [none.example] }
- name: many
  domains: [many.example]
  routes: [${MANY.join(', ')}, { match: { path: /last }, route: { cluster: a } }]
`);

test.each<
  [
    what: string,
    authority: string,
    path: string,
    headers: Record<string, string>,
    details: string,
    text: string,
  ]
>([
  [
    'no virtual host',
    'x.example',
    '/',
    {},
    'no_virtual_host',
    'no virtual host has a domain for the authority',
  ],
  [
    'a header that is missing',
    'shop.example',
    '/cart?x',
    { 'x-a': '1' },
    'virtual_host:shop|nearest:beta|failed:headers[1]',
    'nearest in the virtual host "shop" is routes[0] "beta", but for its headers[1]',
  ],
  [
    'a path that is a little off, whatever its case',
    'shop.example',
    '/USERs2',
    {},
    'virtual_host:shop|nearest:routes[1]|failed:path',
    'nearest in the virtual host "shop" is routes[1], but for its path',
  ],
  [
    'a name that cannot stand in details',
    'shop.example',
    '/itemsx',
    {},
    'virtual_host:shop|nearest:the_items|failed:path',
    'nearest in the virtual host "shop" is routes[2] "the items", but for its path',
  ],
  [
    'a regex that matches',
    'shop.example',
    '/id/7',
    {},
    'virtual_host:shop|nearest:ids|failed:grpc',
    'nearest in the virtual host "shop" is routes[3] "ids", but for its grpc',
  ],
  [
    'nothing in common',
    'shop.example',
    '/zzz',
    {},
    'virtual_host:shop|no_route',
    'no route of the virtual host "shop" is near',
  ],
  [
    'a host without routes',
    'none.example',
    '/',
    {},
    'virtual_host:none|no_route',
    'no route of the virtual host "none" is near',
  ],
  [
    'only so many routes are looked at',
    'many.example',
    '/lasT',
    {},
    'virtual_host:many|no_route',
    'no route of the virtual host "many" is near',
  ],
  [
    'a CONNECT that asks for more than there is',
    'tunnel.example',
    '',
    { ':method': 'CONNECT' },
    'virtual_host:tunnel|nearest:out|failed:headers[0]',
    'nearest in the virtual host "tunnel" is routes[1] "out", but for its headers[0]',
  ],
  [
    'a CONNECT of which no route knows',
    'shop.example',
    '',
    { ':method': 'CONNECT' },
    'virtual_host:shop|no_route',
    'no route of the virtual host "shop" is near',
  ],
])('%s', (_, authority, path, fields, details, text) => {
  const { ':method': method = 'GET', ...rest } = fields;
  const headers = request(path, rest);
  headers.method = method;
  headers.authority = authority;
  expect(TABLE.match(headers, streamInfo(), 0)).toBeUndefined();
  expect(TABLE.miss(headers, streamInfo(), 0)).toEqual({ details, text });
});

test('with vhost_header the header is what no virtual host has', () => {
  const table = tableOf('{ vhost_header: X-Host, virtual_hosts: [{ name: a, domains: [a] }] }');
  const missed = (value: string) => table.miss(request('/', { 'x-host': value }), streamInfo(), 0);
  expect(missed('b').text).toBe('no virtual host has a domain for the value of x-host');
  expect(missed('a').details).toBe('virtual_host:a|no_route');
});

test('a long path is folded once for all routes', () => {
  const routes = Array.from(
    { length: 256 },
    (_, i) => `{ match: { path: /A${i}, case_sensitive: false }, route: { cluster: a } }`,
  );
  const table = tableOf(`virtual_hosts: [{ name: a, domains: ["*"], routes: [${routes.join(', ')}] }]`);
  const headers = request(`/a\u00e9${'B'.repeat(60_000)}`);
  const replace = vi.spyOn(String.prototype, 'replace');
  const { details } = table.miss(headers, streamInfo(), 0);
  const folds = replace.mock.contexts.filter((text) => String(text).length > 60_000).length;
  replace.mockRestore();
  expect([details, folds]).toEqual(['virtual_host:a|nearest:routes[0]|failed:path', 1]);
});

test('with a draw that every condition holds for, the draw of the lookup was another', () => {
  const table = tableOf(`
virtual_hosts:
- name: a
  domains: ["*"]
  routes: [{ match: { prefix: /, runtime_fraction: { default_value: { numerator: 1 } } }, route: { cluster: a } }]`);
  expect(table.match(request('/'), streamInfo(), 99)).toBeUndefined();
  expect(table.miss(request('/'), streamInfo(), 0).details).toBe(
    'virtual_host:a|nearest:routes[0]|failed:runtime_fraction',
  );
});
