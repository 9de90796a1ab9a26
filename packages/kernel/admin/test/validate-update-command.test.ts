import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Address } from '@dragoman/core';
import { StatsStore } from '@dragoman/stats';
import { afterAll, describe, expect, test } from 'vitest';
import { type AdminRequest, runValidateUpdate, startAdminServer, text } from '../src/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'validate-update-'));
const file = join(folder, 'some cluster+.yaml');
writeFileSync(file, 'name: a\n');
afterAll(() => rmSync(folder, { recursive: true }));

/** A proxy that answers in one way. */
async function proxy(status: number, body: string, address = Address.ip('127.0.0.1', 0)) {
  const asked: AdminRequest[] = [];
  const server = await startAdminServer({
    address,
    stats: new StatsStore().createThread(),
    handle: async (request) => {
      asked.push(request);
      return text(body, status);
    },
  });
  return { asked, address: server.address.text, [Symbol.asyncDispose]: () => server.close() };
}

async function run(...argv: string[]) {
  const printed = { out: '', err: '' };
  const code = await runValidateUpdate(argv, {
    out: (one) => {
      printed.out += one;
    },
    err: (one) => {
      printed.err += one;
    },
    input: () => 'from: input\n',
  });
  return { code, ...printed };
}

describe('validate-update', () => {
  test('asks, and says what is answered', async () => {
    await using good = await proxy(200, 'ok: it is\n');
    expect(await run('--admin-address', good.address, '-t', 'Cluster', '--name', 'a/b', file)).toEqual({
      code: 0,
      out: 'ok: it is\n',
      err: '',
    });
    expect(good.asked).toMatchObject([
      {
        method: 'POST',
        path: '/validate_update?file=some%20cluster%2B.yaml&type=Cluster&name=a%2Fb',
        body: 'name: a\n',
      },
    ]);
    expect(await run('--admin-address', `http://${good.address}`, '--json', '-')).toMatchObject({ code: 0 });
    expect(good.asked[1]).toMatchObject({
      path: '/validate_update?file=standard%20input&format=json',
      body: 'from: input\n',
    });
    await using bad = await proxy(400, 'a.yaml:1:1: no\n');
    expect(await run('--admin-address', bad.address, file)).toEqual({
      code: 1,
      out: '',
      err: 'a.yaml:1:1: no\n',
    });
    expect(await run('--admin-address', bad.address, '--json', file)).toEqual({
      code: 1,
      out: 'a.yaml:1:1: no\n',
      err: '',
    });
  });

  test('by a Unix socket', async () => {
    const path = join(folder, 'admin.sock');
    await using good = await proxy(200, 'ok\n', Address.pipe(path));
    expect(await run('--admin-address', path, file)).toMatchObject({ code: 0, out: 'ok\n' });
    expect(good.asked).toHaveLength(1);
  });

  test.each([
    [[], /one file is needed/],
    [['--admin-address', '127.0.0.1:1', 'a', 'b'], /one file is needed/],
    [['a'], /the proxy to ask is needed/],
    [['--nothing'], /nothing/],
    [['--admin-address', '127.0.0.1:1', '/nonexistent/x.yaml'], /cannot read \/nonexistent\/x\.yaml/],
    [['--admin-address', 'https://127.0.0.1:1', file], /plain HTTP/],
    [['--admin-address', 'a b', file], /neither host:port nor/],
    [['--admin-address', '127.0.0.1:1', '--timeout-s', '0', file], /--timeout-s must be/],
    [['--admin-address', join(folder, 'nobody.sock'), file], /the proxy cannot be asked: .*ENOENT/],
  ])('%s fails', async (argv, message) => {
    const { code, out, err } = await run(...argv);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toMatch(/^dragoman validate-update: /);
    expect(err).toMatch(message);
  });

  test('what is no Dragoman is told apart', async () => {
    await using envoy = await proxy(404, 'invalid path');
    expect((await run('--admin-address', envoy.address, file)).err).toContain('is it a Dragoman');
    await using broken = await proxy(500, 'oh\n');
    expect((await run('--admin-address', broken.address, file)).err).toContain('answers with 500: oh');
    expect((await run('--help')).out).toContain('Usage: dragoman validate-update');
  });
});
