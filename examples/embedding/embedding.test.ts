import { trackLeaks } from '@dragoman/testing';
import { expect, test } from 'vitest';
import { demonstrate } from './proxy.ts';

test('a request goes through the embedded proxy, and nothing is left behind', async () => {
  const leaks = trackLeaks();
  expect(await demonstrate()).toEqual({ status: 200, body: 'you asked for /hello\n', forwarded: 1 });
  await leaks.expectNone();
});
