import { rawClient } from '@dragoman/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bootstrap, cluster, httpListener, prefixRoute } from './support/config.ts';
import { Sidecar, skipUnbuilt, UNBUILT } from './support/sidecar.ts';

describe.skipIf(skipUnbuilt)(`/explain of the running command${UNBUILT}`, () => {
  let sidecar: Sidecar;

  beforeAll(async () => {
    const routes = [
      { match: { safe_regex: { regex: '/(a+)+b' } }, route: { cluster: 'upstream' } },
      ...Array.from({ length: 200 }, (_, i) => prefixRoute(`/p${i}/`, 'upstream')),
      prefixRoute('/', 'upstream', { prefix_rewrite: '/x/' }),
    ];
    sidecar = await Sidecar.serve(
      bootstrap([httpListener({ routes, manager: { normalize_path: true } })], [cluster('upstream', [1])]),
      ['--concurrency', '2'],
    );
  });
  afterAll(async () => {
    await sidecar?.[Symbol.asyncDispose]();
  });

  const enc = encodeURIComponent;
  it.each<[what: string, query: string, statuses: number[]]>([
    ['nothing', '', [400]],
    ['no value', 'request', [400]],
    ['an empty one', 'request=', [400]],
    ['a good one', `request=${enc('GET http://a/x')}`, [200]],
    ['two of them', `request=${enc('GET http://a/x')}&request=${enc('GET http://b/y')}`, [200, 400]],
    ['no URL', `request=${enc('GET /x')}`, [400]],
    ['another scheme', `request=${enc('GET file:///etc/passwd')}`, [400]],
    ['CR LF in the URL', `request=${enc('GET http://a/x\r\nhost: b')}`, [400]],
    ['NUL in the URL', `request=${enc('GET http://a/\0x')}`, [200, 400]],
    ['a bad escape', 'request=%', [400]],
    ['half an escape', 'request=%4', [400]],
    ['bytes that are not UTF-8', 'request=GET%20http://a/%ff%fe', [200, 400]],
    ['a host with spaces', `request=${enc('GET http://a b/')}`, [400]],
    ['user information', `request=${enc('GET http://u:p@a/')}`, [200, 400]],
    ['port 0', `request=${enc('GET http://a:0/')}`, [400]],
    ['port 99999', `request=${enc('GET http://a:99999/')}`, [400]],
    ['a URL that regular expressions dislike', `request=${enc(`GET http://a/${'a'.repeat(40_000)}`)}`, [200, 414, 431]],
    ['a path of dots', `request=${enc(`GET http://a/${'../'.repeat(5000)}`)}`, [200, 400]],
    ['HTML', `request=${enc('GET http://a/<script>alert(1)</script>')}`, [200, 400]],
    ['HTML that is no request', `request=${enc('<script>alert(1)</script>')}`, [400]],
    ['CONNECT', `request=${enc('CONNECT http://a/')}`, [200, 400]],
    ['a method that is none', `request=${enc('G(T http://a/')}`, [400]],
    ['a header with CR', `request=${enc('GET http://a/')}&headers=${enc('a: b\rc: d')}`, [400]],
    ['a header without a colon', `request=${enc('GET http://a/')}&headers=x`, [400]],
    ['a header of pseudo', `request=${enc('GET http://a/')}&headers=${enc(':path: /y')}`, [400]],
    ['many headers', `request=${enc('GET http://a/')}&headers=${enc('a: b\n'.repeat(3000))}`, [200, 400, 414, 431]],
    ['__proto__ as a header', `request=${enc('GET http://a/')}&headers=${enc('__proto__: x')}`, [200]],
    ['a listener that is none', `request=${enc('GET http://a/')}&listener=${enc('__proto__')}`, [400]],
    ['an address that is none', `request=${enc('GET http://a/')}&from=x`, [400]],
    ['an address of a pipe', `request=${enc('GET http://a/')}&from=${enc('unix:///x')}`, [400]],
    ['a draw that is none', `request=${enc('GET http://a/')}&random=-1`, [400]],
    ['a draw too large', `request=${enc('GET http://a/')}&random=99999999999999999`, [400]],
    ['another format', `request=${enc('GET http://a/')}&format=xml`, [200, 400]],
    ['a parameter that is none', `request=${enc('GET http://a/')}&__proto__=1`, [200, 400]],
  ])('%s', async (_, query, statuses) => {
    const started = performance.now();
    for (const format of ['', '&format=json']) {
      const response = await sidecar.admin(`/explain?${query}${format}`);
      expect(statuses, response.body.toString().slice(0, 300)).toContain(response.status);
      const type = response.header('content-type') ?? '';
      expect(type).toMatch(/^(text\/plain|application\/json)/);
      expect(response.header('x-content-type-options') ?? 'nosniff').toBe('nosniff');
      expect(response.body.toString()).not.toMatch(/\n {4}at |node_modules|TypeError/);
      if (response.status === 200 && type.startsWith('application/json')) JSON.parse(response.body.toString());
    }
    expect(performance.now() - started, 'milliseconds').toBeLessThan(3000);
  }); // biome-ignore format: a table

  it('a hundred at once, and clients that go away, leave the workers alive', async () => {
    const query = `/explain?request=${enc(`GET http://a/${'a'.repeat(2000)}`)}`;
    const all = await Promise.all(Array.from({ length: 100 }, () => sidecar.admin(query)));
    expect(new Set(all.map(({ status }) => status))).toEqual(new Set([200]));
    for (let i = 0; i < 20; i++) {
      await using client = await rawClient({ port: sidecar.adminPort });
      await client.write(`GET ${query} HTTP/1.1\r\nhost: admin\r\n\r\n`);
      client.reset();
    }
    const stats = (await sidecar.admin('/stats?filter=worker_deaths|workers_alive')).body.toString();
    expect(stats).toMatch(/^server\.worker_deaths: 0$/m);
    expect(sidecar.stderr).not.toMatch(/\[(error|critical)\]/);
  });
});
