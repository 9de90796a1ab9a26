import {
  clusterConfig,
  eventually,
  exchange,
  HttpUpstream,
  localAddress,
  rawClient,
  text,
} from '@dragoman/testing';
import { expect, test } from 'vitest';
import { clusterOf, listenerOf, start } from './dynamic.ts';
import { chainOf, EXTENSIONS, says } from './extensions.ts';
import { crash } from './thread-extensions.ts';

const threads = { extensions: new URL('./thread-extensions.ts', import.meta.url) };
const listener = (name: string, said: string) =>
  listenerOf({ name, address: localAddress(), filter_chains: [says(said)] });

test('changes go on while workers die, and reach those that take their place', async () => {
  await using upstream = await HttpUpstream.start(text('x'));
  await using proxy = await start(
    {
      static_resources: {
        listeners: [
          { name: 'crash', address: localAddress(), filter_chains: [chainOf('crash')] },
          { name: 'one', address: localAddress(), filter_chains: [says('0')] },
        ],
      },
    },
    { threads, extensions: [...EXTENSIONS, crash], flags: { drainTimeMs: 50 } },
  );
  const port = proxy.portOf('one');
  const crashPort = proxy.portOf('crash');
  let changing = true;
  const deaths = async () => {
    let count = 0;
    while (changing && count < 6) {
      const client = await rawClient({ port: crashPort }).catch(() => undefined);
      await client?.readUntilClose();
      client?.destroy();
      count++;
      await proxy.untilStat('server.worker_deaths', count);
    }
  };
  const dying = deaths();
  let version = 0;
  const until = performance.now() + 4000;
  while (performance.now() < until) {
    version++;
    expect(await proxy.proxy.addOrUpdateListener(listener('one', `${version}`))).toBe(true);
    const name = `c${version % 3}`;
    await proxy.proxy.addOrUpdateCluster(
      clusterOf({ ...clusterConfig(name, upstream.port), connect_timeout: `${version}s` }),
    );
  }
  changing = false;
  await dying;
  expect(proxy.stat('server.worker_deaths')).toBeGreaterThan(1);
  console.log(
    version,
    proxy.stat('server.worker_deaths'),
    proxy.log.lines.filter((l) => /error|critical/.test(l)).slice(0, 20),
  );
  await eventually(async () => {
    const answers = await Promise.all(Array.from({ length: 40 }, () => exchange({ port }).catch(String)));
    expect(new Set(answers)).toEqual(new Set([`${version}`]));
  }, 10_000);
  expect(proxy.stat('server.envoy_bug_failures')).toBe(proxy.stat('server.worker_deaths'));
});
