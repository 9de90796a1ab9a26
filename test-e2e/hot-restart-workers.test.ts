import { existsSync, writeFileSync } from 'node:fs';
import { eventually, HttpUpstream, type RawConnection, rawClient, text, within } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { bootstrap, cluster, httpListener } from './support/config.ts';
import { skipUnbuilt, UNBUILT } from './support/sidecar.ts';
import { START_PATIENCE_MS, Supervised } from './support/supervised.ts';

const GET = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';

async function ask(client: RawConnection): Promise<number> {
  await client.write(GET);
  return (await client.readResponse()).status;
}

/** For how long nothing must happen before it counts as "no more", ms. */
const QUIET_MS = 300;

/** How many of some promises have settled. */
class Counted<T> {
  readonly promises: readonly Promise<T>[];
  count = 0;
  private last = performance.now();

  constructor(promises: readonly Promise<T>[]) {
    this.promises = promises.map(async (promise) => {
      const value = await promise;
      this.count++;
      this.last = performance.now();
      return value;
    });
  }

  /** Waits until there are some, and no more come. */
  async atRest(): Promise<number> {
    await eventually(() => this.count > 0 && performance.now() - this.last > QUIET_MS);
    return this.count;
  }
}

describe.skipIf(skipUnbuilt)(`workers of a new epoch${UNBUILT}`, { timeout: 60_000 }, () => {
  it('a worker that dies after a restart is replaced on its socket: what waits there is served', async () => {
    await using upstream = await HttpUpstream.start(text('ok'));
    const config = bootstrap([httpListener({})], [cluster('upstream', [upstream.port])]);
    const trigger = new URL('./support/preload/worker-trigger.mjs', import.meta.url);
    const env = { NODE_OPTIONS: `--import=${trigger.href}` };
    await using proxy = await Supervised.serve(config, ['--concurrency', '2'], { env });
    await proxy.restart(1);
    await proxy.untilEnded(0);
    const port = await proxy.port();
    for (const worker of [0, 1]) {
      writeFileSync(proxy.path(`block.${worker}`), '');
      await eventually(() => existsSync(proxy.path(`blocked.${worker}`)));
      // The kernel has given some of them to the other one.
      const clients = await Promise.all(Array.from({ length: 40 }, () => rawClient({ port })));
      const answers = new Counted(clients.map(ask));
      expect(await answers.atRest()).toBeGreaterThan(0);
      expect(answers.count).toBeLessThan(clients.length);
      writeFileSync(proxy.path(`die.${worker}`), '');
      const statuses = await within(Promise.all(answers.promises), 'all answers', START_PATIENCE_MS);
      expect(statuses).toEqual(clients.map(() => 200));
      for (const client of clients) client.destroy();
      await proxy.logged(new RegExp(`worker_${worker} has ended .*another takes its place`));
      await proxy.logged(new RegExp(`worker_${worker} is there again`));
    }
    expect(await proxy.stat('server.worker_deaths')).toBe(2);
    // Nor are they lost to the next epoch.
    await proxy.restart(2);
    await proxy.untilEnded(1);
    await using client = await rawClient({ port });
    expect(await ask(client)).toBe(200);
  });
});
