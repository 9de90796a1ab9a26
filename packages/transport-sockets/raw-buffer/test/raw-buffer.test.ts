import { create, RawBufferSchema } from '@dragoman/api';
import { ExtensionRegistry } from '@dragoman/core';
import { testContext } from '@dragoman/testing';
import { expect, it } from 'vitest';
import { rawBuffer } from '../src/index.ts';

const config = create(RawBufferSchema) as never;

it('is found by its config type', () => {
  const registry = new ExtensionRegistry([rawBuffer]);
  const type = 'envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer';
  expect(registry.resolve('transport-sockets', 'any', type, 'transport_socket')).toBe(rawBuffer);
});

it.each(['createDownstream', 'createUpstream'] as const)('%s leaves the socket as it is', (side) => {
  const socket = rawBuffer[side]?.(config, testContext());
  expect(socket).toEqual({ name: 'raw_buffer', secure: false });
});
