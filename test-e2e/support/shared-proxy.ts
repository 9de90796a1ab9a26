import { type LeakTracker, trackLeaks } from '@dragoman/testing';
import { afterAll, beforeAll } from 'vitest';
import { type Peer, type ProxySetup, TestProxy } from './proxy.ts';

/** What the tests of one `describe` share. */
export interface SharedProxy {
  readonly proxy: TestProxy;
}

/**
 * One proxy for all tests of a `describe`, with the checks of `withProxy` behind the last of them. Clients that are opened in a
 * later `beforeAll` are to be closed in an `afterAll` beside it.
 *
 * @param start what it is configured with; called once, before the first test
 * @param peers ends what `start` has opened besides the hosts of cluster `upstream`
 */
export function shareProxy(
  start: () => ProxySetup | Promise<ProxySetup>,
  peers: () => readonly AsyncDisposable[] = () => [],
): SharedProxy {
  const shared: { proxy: TestProxy } = { proxy: undefined as unknown as TestProxy };
  let leaks: LeakTracker;
  let setup: ProxySetup | undefined;
  beforeAll(async () => {
    leaks = trackLeaks();
    setup = await start();
    shared.proxy = await TestProxy.start(setup);
  });
  afterAll(async () => {
    {
      await using stack = new AsyncDisposableStack();
      for (const peer of peers()) stack.use(peer);
      for (const host of hosts(setup?.upstream)) stack.defer(() => host.stop());
      stack.use(shared.proxy);
      await shared.proxy.expectIdle();
      await shared.proxy.close();
    }
    await leaks.expectNone();
  });
  return shared;
}

function hosts(upstream: ProxySetup['upstream'] = []): readonly Peer[] {
  const all = typeof upstream === 'number' || 'port' in upstream ? [upstream] : upstream;
  return all.filter((host): host is Peer => typeof host !== 'number');
}
