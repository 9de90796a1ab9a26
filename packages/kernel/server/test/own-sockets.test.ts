import { Address } from '@dragoman/core';
import { expect, test } from 'vitest';
import { OwnSockets } from '../src/listener/listen-sockets.ts';

test('port 0 is another port for each listener, also before a worker has bound it', async () => {
  const sockets = new OwnSockets();
  const target = { address: Address.ipv4('127.0.0.1', 0), ipv6Only: false, mode: undefined };
  // Some 14,000 ports are chosen from: without being held, a few of 500 would come twice.
  const acquired = await Promise.all(
    Array.from({ length: 500 }, (_, i) =>
      sockets.acquire({ key: `${i}`, target, reusePort: true, workers: 2 }),
    ),
  );
  expect(new Set(acquired.map(({ address }) => address)).size).toBe(500);
  for (const one of acquired) one.release();
});
