import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, TestAuthority } from '@dragoman/testing';
import { afterEach, expect, it } from 'vitest';
import { type Config, inline } from './support/config.ts';
import { ClientScene, cleanUp, onCleanUp, ServerScene, talk } from './support/scene.ts';

const server = TestAuthority.root().issue({ san: [{ dns: 'a.example' }] });
const here = { address_prefix: '127.0.0.0', prefix_len: 8 };
const there = { address_prefix: '192.0.2.0', prefix_len: 24 };

afterEach(cleanUp);

function log(): string {
  const folder = mkdtempSync(join(tmpdir(), 'dragoman-tls-'));
  onCleanUp(() => rmSync(folder, { recursive: true }));
  return join(folder, 'keys');
}

async function connection(downstream: Config, upstream: Config): Promise<void> {
  const scene = await ServerScene.start({
    common_tls_context: { tls_certificates: [inline(server)], key_log: downstream },
  });
  const cluster = new ClientScene({
    common_tls_context: { key_log: upstream, tls_params: { tls_maximum_protocol_version: 'TLSv1_3' } },
  });
  await talk(cluster.connect(scene.port), await scene.end());
}

const secretsOf = (path: string): string[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .sort();

it('has the secrets of both sides, which are the same', async () => {
  const [one, other] = [log(), log()];
  await connection({ path: one }, { path: other });
  await eventually(() => secretsOf(one).length === 5 && secretsOf(other).length === 5);
  expect(secretsOf(one)).toEqual(secretsOf(other));
  for (const line of secretsOf(one)) expect(line).toMatch(/^[A-Z_0-9]+ [0-9a-f]{64} [0-9a-f]{64,96}$/);
  expect(statSync(one).mode & 0o777).toBe(0o600);
});

it.each<[string, Config, boolean]>([
  ['local', { local_address_range: [here] }, true],
  ['foreign local', { local_address_range: [there] }, false],
  ['remote', { remote_address_range: [there, here] }, true],
  ['foreign remote', { remote_address_range: [there] }, false],
  ['local, but not remote', { local_address_range: [here], remote_address_range: [there] }, false],
])('is of connections with %s addresses', async (_, ranges, wanted) => {
  const [path, all] = [log(), log()];
  await connection({ path, ...ranges }, { path: all });
  await eventually(() => secretsOf(all).length === 5);
  await eventually(() => secretsOf(path).length === (wanted ? 5 : 0));
});
