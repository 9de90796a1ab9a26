import {
  clusterConfig,
  eventually,
  exchange,
  HttpUpstream,
  httpBootstrap,
  localAddress,
  rawClient,
  text,
} from '@dragoman/testing';
import { expect, test } from 'vitest';
import { clusterOf, listenerOf, start } from './dynamic.ts';
import { chainOf, EXTENSIONS, says } from './extensions.ts';
import { crash } from './thread-extensions.ts';

const threads = { extensions: new URL('./thread-extensions.ts', import.meta.url) };

test('changes go on while workers die, and reach those that take their place', async () => {
  await using upstream = await HttpUpstream.start(text('x'));
  const one = { name: 'one', address: localAddress(), filter_chains: [says('0')] };
  const bootstrap = httpBootstrap({
    clusters: { c: upstream.port },
    listeners: [{ name: 'crash', address: localAddress(), filter_chains: [chainOf('crash')] }, one],
  });
  await using proxy = await start(bootstrap, {
    threads,
    extensions: [...EXTENSIONS, crash],
    flags: { drainTimeMs: 20 },
  });
  const port = proxy.portOf('one');
  const crashPort = proxy.portOf('crash');
  let changing = true;
  const killOneAfterAnother = async () => {
    for (let deaths = 0; deaths < 4; ) {
      const client = await rawClient({ port: crashPort }).catch(() => undefined);
      if (client === undefined) continue;
      await client.readUntilClose();
      client.destroy();
      deaths++;
      await proxy.untilStat('server.worker_deaths', deaths);
    }
  };
  const deaths = killOneAfterAnother().finally(() => {
    changing = false;
  });
  deaths.catch(() => {});
  let version = 0;
  while (changing) {
    // While no worker is there changes are done at once: let others have their turn.
    await new Promise((resolve) => setImmediate(resolve));
    version++;
    const next = { ...one, filter_chains: [says(`${version}`)] };
    expect(await proxy.proxy.addOrUpdateListener(listenerOf(next))).toBe(true);
    const timeout = { connect_timeout: `${version}s` };
    await proxy.proxy.addOrUpdateCluster(clusterOf({ ...clusterConfig('c', upstream.port), ...timeout }));
    expect(await proxy.proxy.addOrUpdateListener(listenerOf({ ...next, name: `more ${version}` }))).toBe(
      true,
    );
    expect(await proxy.proxy.removeListener(`more ${version}`)).toBe(true);
  }
  await deaths;
  // Each of them has the last version, at the same port, whenever it began.
  await eventually(async () => {
    const answers = await Promise.all(Array.from({ length: 60 }, () => exchange({ port }).catch(String)));
    expect(new Set(answers)).toEqual(new Set([`${version}`]));
    const statuses = await Promise.all(Array.from({ length: 20 }, () => proxy.get('/').catch(String)));
    expect(new Set(statuses.map((one) => (typeof one === 'string' ? one : one.status)))).toEqual(
      new Set([200]),
    );
  }, 10_000);
  expect(proxy.stat('server.worker_deaths')).toBe(4);
  expect(proxy.stat('server.envoy_bug_failures')).toBe(4);
});
