import {
  create,
  DownstreamTlsContextSchema,
  RawBufferSchema,
  StartTlsConfigSchema,
  UpstreamStartTlsConfigSchema,
  UpstreamTlsContextSchema,
} from '@dragoman/api';
import { ConfigError, ExtensionRegistry, type TransportSocketExtension } from '@dragoman/core';
import { connectionInfo, testContext } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { starttls } from '../src/index.ts';
import { FakeTls } from './fake-tls.ts';

const DOWN = create(StartTlsConfigSchema, {
  cleartextSocketConfig: create(RawBufferSchema),
  tlsSocketConfig: create(DownstreamTlsContextSchema),
}) as never;
const UP = create(UpstreamStartTlsConfigSchema, {
  tlsSocketConfig: create(UpstreamTlsContextSchema),
}) as never;

const contextOf = (...extensions: TransportSocketExtension[]) =>
  testContext({ extensions: new ExtensionRegistry(extensions) });

function problem(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof ConfigError)
      return error.problems.map(({ path, message }) => `${path}: ${message}`).join();
    throw error;
  }
  return 'none';
}

it('is found by both of its types', () => {
  const registry = new ExtensionRegistry([starttls]);
  for (const { typeName } of [StartTlsConfigSchema, UpstreamStartTlsConfigSchema])
    expect(registry.resolve('transport-sockets', 'any', typeName, '')).toBe(starttls);
});

it('downstream starts plain, and turns to the TLS of the proxy', () => {
  const tls = new FakeTls();
  const socket = starttls.createDownstream?.(DOWN, contextOf(tls.extension));
  expect(tls.seen).toEqual(['envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext']);
  expect(socket).toMatchObject({ name: 'starttls', secure: false });
  expect(socket?.accept).toBeUndefined();
  expect(socket?.acceptLater?.(connectionInfo()).inspect(Buffer.from([22]))).toBe('ready');
});

it('upstream starts plain, and turns to the TLS of the proxy', () => {
  const tls = new FakeTls();
  const socket = starttls.createUpstream?.(UP, contextOf(tls.extension));
  expect(tls.seen).toEqual(['envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext']);
  expect(socket).toMatchObject({ name: 'starttls', secure: false, serverName: 'a.test' });
  expect(socket?.applicationProtocols).toEqual(['made-up']);
  expect(socket?.wrap).toBeUndefined();
  expect(socket?.preamble).toBeUndefined();
  expect(socket?.wrapLater).toBeTypeOf('function');
  socket?.close?.();
  expect(tls.seen.at(-1)).toBe('close');
});

describe('refuses', () => {
  const { extension } = new FakeTls();
  const oneSided: TransportSocketExtension = {
    category: 'transport-sockets',
    name: 'envoy.transport_sockets.tls',
    config: DownstreamTlsContextSchema,
    configAliases: [UpstreamTlsContextSchema],
  };
  const failing: TransportSocketExtension = {
    ...oneSided,
    createDownstream: () => {
      throw ConfigError.at('common_tls_context', 'is bad');
    },
    createUpstream: () => {
      throw ConfigError.at('sni', 'is bad');
    },
  };

  it.each<[string, never, never, TransportSocketExtension[], string, string]>([
    [
      'the other side',
      UP,
      DOWN,
      [extension],
      ': expected envoy.extensions.transport_sockets.starttls.v3.StartTlsConfig, found envoy.extensions.transport_sockets.starttls.v3.UpstreamStartTlsConfig',
      ': expected envoy.extensions.transport_sockets.starttls.v3.UpstreamStartTlsConfig, found envoy.extensions.transport_sockets.starttls.v3.StartTlsConfig',
    ],
    [
      'no TLS in the config',
      create(StartTlsConfigSchema) as never,
      create(UpstreamStartTlsConfigSchema) as never,
      [extension],
      'tls_socket_config: is required',
      'tls_socket_config: is required',
    ],
    [
      'TLS that the proxy has for the other side only',
      DOWN,
      UP,
      [oneSided],
      'tls_socket_config: envoy.transport_sockets.tls cannot be used on a listener',
      'tls_socket_config: envoy.transport_sockets.tls cannot be used upstream',
    ],
    [
      'what the TLS refuses',
      DOWN,
      UP,
      [failing],
      'tls_socket_config.common_tls_context: is bad',
      'tls_socket_config.sni: is bad',
    ],
  ])('%s', (_, down, up, extensions, downstream, upstream) => {
    expect(problem(() => starttls.createDownstream?.(down, contextOf(...extensions)))).toBe(downstream);
    expect(problem(() => starttls.createUpstream?.(up, contextOf(...extensions)))).toBe(upstream);
  });

  it('a proxy without TLS', () => {
    const expected =
      /^tls_socket_config: extension "envoy\.transport_sockets\.tls".*@dragoman\/transport-socket-tls would provide it/;
    expect(problem(() => starttls.createDownstream?.(DOWN, contextOf()))).toMatch(expected);
    expect(problem(() => starttls.createUpstream?.(UP, contextOf()))).toMatch(expected);
  });
});
