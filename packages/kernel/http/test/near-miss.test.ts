import { expect, test } from 'vitest';
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
])('%s', (_, authority, path, fields, details, text) => {
  const headers = request(path, fields);
  headers.authority = authority;
  expect(TABLE.match(headers, streamInfo(), 0)).toBeUndefined();
  expect(TABLE.miss(headers, streamInfo(), 0)).toEqual({ details, text });
});
