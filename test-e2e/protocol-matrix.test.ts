import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { eventually, TestAuthority, within } from '@dragoman/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  AnyUpstream,
  nameOf,
  openClient,
  type Client,
  type Pems,
  type Side,
  SIDES,
} from './support/any-protocol.ts';
import type { Message } from './support/config.ts';
import { TestProxy } from './support/proxy.ts';
import { downstreamTls, upstreamHttp, upstreamTls } from './support/secure.ts';

const authority = TestAuthority.root();
const leaf = authority.issue({ san: [{ dns: 'any.test' }] });
const pems: Pems = { ca: authority.pem, cert: leaf.pem, key: leaf.keyPem, name: 'any.test' };

const MANAGER: Message = {
  upgrade_configs: [{ upgrade_type: 'websocket' }],
  http_protocol_options: { enable_trailers: true },
  http2_protocol_options: { allow_connect: true },
};

async function startProxy(down: Side, up: Side, upstream: AnyUpstream): Promise<TestProxy> {
  return TestProxy.start({
    upstream: upstream.port,
    upstreamFields: {
      ...upstreamHttp(
        up.http === 2
          ? { http2_protocol_options: { allow_connect: true } }
          : { http_protocol_options: { enable_trailers: true } },
      ),
      ...(up.tls ? upstreamTls(pems) : {}),
    },
    ...(down.tls ? { chain: downstreamTls(pems, ['h2', 'http/1.1']) } : {}),
    manager: MANAGER,
  });
}

const sha = (data: Buffer) => createHash('sha256').update(data).digest('hex');
const pairs = SIDES.flatMap((down) => SIDES.map((up) => ({ down, up })));

describe.each(pairs.map((pair) => [`${nameOf(pair.down)} → ${nameOf(pair.up)}`, pair] as const))(
  '%s',
  (_, { down, up }) => {
    let upstream: AnyUpstream;
    let proxy: TestProxy;
    let client: Client;

    beforeAll(async () => {
      upstream = await AnyUpstream.start(up, pems);
      proxy = await startProxy(down, up, upstream);
      client = openClient(down, proxy.port, pems);
    });

    afterAll(async () => {
      await client?.[Symbol.asyncDispose]();
      await proxy?.expectIdle();
      await proxy?.[Symbol.asyncDispose]();
      await upstream?.stop();
    });

    const last = () => upstream.seen.at(-1);

    test('a request and its response, headers and all', async () => {
      const answer = await client.send({
        path: '/x?y=1',
        headers: { cookie: ['c=1', 'd=2'], 'x-a': '1', te: 'trailers' },
      });
      expect([answer.status, answer.body.toString(), answer.headers['set-cookie']]).toEqual([
        200,
        'OK',
        ['a=1', 'b=2'],
      ]);
      expect(answer.headers['connection']).toBeUndefined();
      const { headers, method, path } = last() as NonNullable<ReturnType<typeof last>>;
      expect([method, path, headers['x-a'], headers.cookie]).toEqual(['GET', '/x?y=1', '1', 'c=1; d=2']);
      expect(headers.host ?? headers[':authority']).toBe('any.test');
      expect(headers['x-forwarded-proto']).toBe(down.tls ? 'https' : 'http');
    });

    test('HEAD keeps the length and has no body', async () => {
      const answer = await client.send({ method: 'HEAD', path: '/' });
      expect([answer.status, answer.headers['content-length'], answer.body.length]).toEqual([200, '2', 0]);
    });

    test.each([204, 304, 404, 500])('status %i', async (status) => {
      const answer = await client.send({ path: `/status/${status}` });
      expect([answer.status, answer.body.length]).toEqual([status, 0]);
    });

    test('3 MiB there and back', async () => {
      const body = Buffer.alloc(3 << 20, 'abcdefghijk');
      const answer = await client.send({ method: 'POST', path: '/echo', body });
      expect([answer.status, sha(answer.body)]).toEqual([200, sha(body)]);
    });

    test('a body of known length', async () => {
      const answer = await client.send({
        method: 'PUT',
        path: '/',
        body: Buffer.from('four'),
        headers: { 'content-length': 4 },
      });
      expect([answer.status, last()?.bytes, last()?.headers['content-length']]).toEqual([200, 4, '4']);
    });

    test('trailers both ways', async () => {
      const answer = await client.send({
        method: 'POST',
        path: '/echo',
        body: Buffer.from('body'),
        trailers: { 'x-sum': '7' },
      });
      expect(answer.body.toString()).toBe('body');
      expect(last()?.trailers).toEqual({ 'x-sum': '7' });
      expect(answer.trailers).toEqual({ 'x-bytes': '4' });
    });

    test('Expect: 100-continue is answered', async () => {
      const answer = await client.send({
        method: 'POST',
        path: '/',
        headers: { expect: '100-continue' },
        body: Buffer.from('x'),
      });
      expect([answer.status, answer.interim]).toEqual([200, [100]]);
    });

    test('a client that cuts its upload cuts the request upstream', async () => {
      const before = upstream.cut;
      const upload = client.begin({ method: 'POST', path: '/upload' });
      upload.write(Buffer.alloc(1000));
      await eventually(() => expect(proxy.stat('cluster.upstream.upstream_rq_active')).toBe(1));
      upload.cut();
      await eventually(() => expect(upstream.cut).toBe(before + 1));
      await expect(upload.answer).rejects.toThrow();
    });

    test('an upstream that cuts its answer cuts it for the client', async () => {
      await expect(within(client.send({ path: '/reset' }), 'the end of a cut answer')).rejects.toThrow();
    });

    test('an answer that comes before the end of the request', async () => {
      const upload = client.begin({ method: 'POST', path: '/early' });
      upload.write(Buffer.alloc(1000));
      const answer = await within(upload.answer, 'an early answer');
      expect([answer.status, answer.body.toString()]).toEqual([200, 'early']);
      upload.cut();
    });

    test('a WebSocket is a tunnel', async () => {
      const tunnel = await within(client.upgrade('/chat'), 'the upgrade');
      tunnel.write('hello');
      const [echoed] = (await within(once(tunnel, 'data'), 'the echo')) as [Buffer];
      expect(echoed.toString()).toBe('hello');
      expect(proxy.stat('http.test.downstream_cx_upgrades_active')).toBe(1);
      tunnel.destroy();
      await eventually(() => expect(proxy.stat('http.test.downstream_cx_upgrades_active')).toBe(0));
    });

    test('a refused WebSocket is a plain answer', async () => {
      await expect(within(client.upgrade('/refuse'), 'the refusal')).rejects.toThrow('answered 403');
    });
  },
);
