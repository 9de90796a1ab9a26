import { create, DownstreamConnectionsConfigSchema } from '@dragoman/api';
import { testContext } from '@dragoman/testing';
import { expect, test } from 'vitest';
import { downstreamConnections } from '../src/index.ts';

function monitor(max: bigint, open: () => number) {
  const config = create(DownstreamConnectionsConfigSchema, { maxActiveDownstreamConnections: max });
  return downstreamConnections.create(config as never, { ...testContext(), downstreamConnections: open });
}

test('a limit, and the share of it that is open', () => {
  let open = 0;
  const made = monitor(8n, () => open);
  expect(made.maxDownstreamConnections).toBe(8);
  expect(made.measure()).toBe(0);
  open = 2;
  expect(made.measure()).toBe(0.25);
  open = 9;
  expect(made.measure()).toBe(1.125);
});

test.each([0n, -1n])('a limit of %s', (max) => {
  expect(() => monitor(max, () => 0)).toThrow('max_active_downstream_connections: must be greater than 0');
});
