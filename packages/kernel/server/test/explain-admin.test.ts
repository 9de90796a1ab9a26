import {
  eventually,
  HttpUpstream,
  httpBootstrap,
  type JsonObject,
  startProxy,
  text,
} from '@dragoman/testing';
import { silentLogger } from '@dragoman/core';
import { expect, test } from 'vitest';
import { silentServerLog } from '../src/index.ts';
import { EXTENSIONS } from './extensions.ts';

const encoded = encodeURIComponent;

/** What may come from a stranger who reaches the admin interface. */
const HOSTILE: readonly [query: string, status: number][] = [
  ['', 400],
  ['request=', 400],
  ['request=%FF%FE', 400],
  [`request=${encoded('GET http://x/\u001b[2J\r\nSet-Cookie: a')}`, 400],
  [`request=${encoded('\u202e\u0007')}`, 400],
  ['request=http://x/%FF%00', 200],
  [`request=${encoded('http://x/é\u001b[31m')}`, 200],
  [`request=${encoded(`http://x/${'a'.repeat(20_000)}`)}`, 200],
  [`request=${encoded('GET '.repeat(5_000))}`, 400],
  [`request=http://x/&headers=${encoded('a: b\n'.repeat(2_000))}`, 200],
  [`request=http://x/&headers=${encoded('a: \0')}`, 400],
  [`request=http://x/&headers=${encoded(':path: /x')}`, 400],
  [`request=http://x/&headers=${encoded('x: \u001b]0;title\u0007')}`, 200],
  ['request=http://x/&headers=%0A%0Anone', 400],
  ['request=http://x/&random=1e9', 400],
  ['request=http://x/&random=99999999999999999999', 400],
  ['request=http://x/&from=%5B%5B', 400],
  ['request=http://x/&from=/tmp/socket', 400],
  [`request=http://x/&sni=${encoded('\u001b[2J')}`, 200],
  [`request=http://x/&listener=${encoded('__proto__')}`, 400],
  ['request=http://__proto__/constructor', 200],
  ['request=CONNECT%20x:443', 200],
  ['request=http://x/&format=json&headers=a:%0B', 200],
];

test('/explain bears whatever it is asked, and the proxy knows nothing of it', async () => {
  const logged: string[] = [];
  const logger = {
    ...silentLogger,
    enabled: () => true,
    warn: (message: string) => void logged.push(message),
  };
  const log = { ...silentServerLog(), logger: () => logger };
  await using upstream = await HttpUpstream.start(text('x'));
  const routes = [
    {
      match: { prefix: '/' },
      // Warned of when they are compiled.
      route: { cluster: 'web', rate_limits: [{ actions: [{ remote_address: {} }] }] },
    },
  ];
  await using proxy = await startProxy(httpBootstrap({ clusters: { web: upstream.port }, routes }), {
    extensions: EXTENSIONS,
    log,
  });
  const stats = async () =>
    (await proxy.admin('/stats?filter=^(http|cluster|listener)\\.(?!.*admin)')).body.toString();
  await proxy.get('/');
  expect(logged.join('\n')).toContain('rate_limits');
  const [before, logs] = [await stats(), logged.length];
  for (const [query, status] of HOSTILE) {
    const page = await proxy.admin(`/explain?${query}`);
    const body = page.body.toString();
    expect([query.slice(0, 60), page.status], body.slice(0, 200)).toEqual([query.slice(0, 60), status]);
    expect(body.replaceAll('\n', '')).not.toMatch(/[\0-\x1f\x7f-\x9f\u202e]/);
  }
  expect(await stats()).toBe(before);
  expect(logged.slice(logs)).toEqual([]);
  expect((await proxy.get('/')).body.toString()).toBe('x');
});

test('/explain and the proxy follow weights that the runtime shifts, without compiling anew', async () => {
  await using old = await HttpUpstream.start(text('old'));
  await using next = await HttpUpstream.start(text('next'));
  const routes: JsonObject[] = [
    {
      match: { prefix: '/' },
      route: {
        weighted_clusters: {
          runtime_key_prefix: 'w',
          clusters: [
            { name: 'old', weight: 1 },
            { name: 'next', weight: 0 },
          ],
        },
      },
    },
    {
      name: 'rest',
      match: { prefix: '/' },
      direct_response: { status: 200, body: { inline_string: 'rest' } },
    },
  ];
  const bootstrap = { layered_runtime: { layers: [{ name: 'admin', admin_layer: {} }] } };
  await using proxy = await startProxy(
    httpBootstrap({ clusters: { old: old.port, next: next.port }, routes, bootstrap }),
    { extensions: EXTENSIONS },
  );
  const said = async () => {
    const page = (await proxy.admin('/explain?request=http://x/&format=json')).body.toString();
    return (JSON.parse(page) as { verdict: string }).verdict;
  };
  for (const [runtime, body, verdict] of [
    [
      '',
      'old',
      'goes to the cluster "old" with this draw (100 % of the requests), by virtual_hosts[0].routes[0]',
    ],
    [
      'w.old=0&w.next=5',
      'next',
      'goes to the cluster "next" with this draw (100 % of the requests), by virtual_hosts[0].routes[0]',
    ],
    ['w.next=0', 'rest', '200 with a body of 4 bytes, by the route "rest"'],
  ] as const) {
    if (runtime !== '') await proxy.admin(`/runtime_modify?${runtime}`, 'POST');
    await eventually(async () => (await proxy.get('/')).body.toString() === body);
    expect(await said()).toBe(verdict);
  }
  const { body } = await proxy.admin('/explain?request=http://x/');
  expect(body.toString()).toContain('routes[0]): it names no cluster for the request\n');
});
