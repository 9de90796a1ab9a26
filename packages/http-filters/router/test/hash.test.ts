import { MaglevSchema } from '@dragoman/api';
import { defineLoadBalancer, type HashValue, type Host } from '@dragoman/core';
import { xxHash64 } from '@dragoman/hashing';
import { HttpUpstream, loadAssignment, text } from '@dragoman/testing';
import { expect, test } from 'vitest';
import { startRouter } from './support.ts';

const seen: (HashValue | undefined)[] = [];

/** Keeps the hash of each pick; asks for it `times` times. */
const byHash = (times: number) =>
  defineLoadBalancer({
    name: 'test.by_hash',
    config: MaglevSchema,
    lbPolicy: 'MAGLEV',
    create: () => ({
      usesHash: true,
      createPicker: (hosts: readonly Host[]) => ({
        pick(context) {
          for (let i = 0; i < times; i++) seen.push(context?.hash);
          return hosts[0];
        },
      }),
    }),
  });

const maglev = (port: number) => ({
  type: 'STATIC',
  lb_policy: 'MAGLEV',
  load_assignment: loadAssignment('c', [port]),
});

const POLICIES = [{ cookie: { name: 'c', ttl: '60s', path: '/' } }];
const routes = [{ match: { prefix: '/' }, route: { cluster: 'c', hash_policy: POLICIES } }];

test.each([0, 1, 3])('a cookie is made when a balancer asks (%i times), once', async (times) => {
  seen.length = 0;
  await using upstream = await HttpUpstream.start(text('x'));
  await using proxied = await startRouter({ routes, clusters: { c: maglev(upstream.port) } }, [
    byHash(times),
  ]);
  const { headers } = await proxied.proxy.get('/');
  const cookies = headers.filter(([name]) => name === 'set-cookie').map(([, value]) => value);
  if (times === 0) {
    expect(cookies).toEqual([]);
    return;
  }
  expect(cookies).toHaveLength(1);
  const [, value = ''] = /^c="([0-9a-f]{16})"; Max-Age=60; Path=\/; HttpOnly$/.exec(cookies[0] ?? '') ?? [];
  expect(seen).toEqual(Array.from({ length: times }, () => xxHash64(value)));
  // The client sends it back: the same hash, and no new cookie.
  seen.length = 0;
  const again = await proxied.proxy.get('/', `cookie: c="${value}"`);
  expect(again.header('set-cookie')).toBeUndefined();
  expect(seen[0]).toEqual(xxHash64(value));
});
