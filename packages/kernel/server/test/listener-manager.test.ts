import { exchange, localAddress } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { listenerOf, start, THREADS } from './dynamic.ts';
import { says } from './extensions.ts';

describe.each(THREADS)('%s', (_name, threads) => {
  test('adds', async () => {
    await using proxy = await start({ static_resources: {} }, { threads });
    await proxy.proxy.addOrUpdateListener(listenerOf({ name: 'x', address: localAddress(), filter_chains: [says('one')] }));
    expect(await exchange({ port: proxy.portOf('x') })).toBe('one');
  });
});
