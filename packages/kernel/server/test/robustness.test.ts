import { type JsonObject, localAddress, startProxy } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { EXTENSIONS, networkFilter, says } from './extensions.ts';

const bootstrap = (listener: JsonObject): JsonObject => ({
  static_resources: { listeners: [{ address: localAddress(), ...listener }] },
  admin: { address: localAddress() },
});

describe('a listener', () => {
  test.each([
    [
      'its factory',
      () => {
        throw new Error('bug');
      },
    ],
    [
      'onNewConnection',
      () => ({
        onNewConnection: () => {
          throw new Error('bug');
        },
      }),
    ],
    [
      'onData',
      () => ({
        onData: () => {
          throw new Error('bug');
        },
      }),
    ],
  ] as const)('loses nothing but the connection when a network filter throws in %s', async (_where, make) => {
    const faulty = networkFilter('faulty', true, make as never);
    await using proxy = await startProxy(
      bootstrap({ name: 'one', stat_prefix: 'one', filter_chains: [{ filters: [{ name: 'faulty' }] }] }),
      {
        extensions: [...EXTENSIONS, faulty],
      },
    );
    for (let i = 0; i < 5; i++) {
      // Perhaps with a reset.
      await proxy.exchange('x').catch(() => {});
    }
    await proxy.untilStat('listener.one.downstream_cx_destroy', 5);
    expect(proxy.stat('listener.one.downstream_cx_active')).toBe(0);
  });

  test('stopped twice is counted once', async () => {
    await using proxy = await startProxy(bootstrap({ name: 'one', filter_chains: [says('x')] }), {
      extensions: EXTENSIONS,
    });
    for (let i = 0; i < 2; i++) {
      expect((await proxy.admin('/drain_listeners', 'POST')).status).toBe(200);
    }
    await proxy.untilStat('listener_manager.listener_stopped', 1);
    // As in Envoy: it is still there, and accepts nothing.
    expect(proxy.stat('listener_manager.total_listeners_active')).toBe(1);
  });

  test('without a name gets one', async () => {
    await using proxy = await startProxy(bootstrap({ filter_chains: [says('x')] }), {
      extensions: EXTENSIONS,
    });
    expect(proxy.proxy.listeners[0]?.name).toMatch(/^[0-9a-f-]{36}$/);
  });

  test.each([
    ['DEFAULT', 'close'],
    ['MODIFY_ONLY', 'stay'],
  ])('with drain_type %s: connections %s after a failed health check', async (drain_type, fate) => {
    const manager = {
      name: 'hcm',
      typed_config: {
        '@type':
          'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
        stat_prefix: 'x',
        http_filters: [
          {
            name: 'envoy.filters.http.router',
            typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
          },
        ],
        route_config: {
          virtual_hosts: [
            {
              name: 'v',
              domains: ['*'],
              routes: [{ match: { prefix: '/' }, direct_response: { status: 200 } }],
            },
          ],
        },
      },
    };
    await using proxy = await startProxy(
      bootstrap({ name: 'one', drain_type, filter_chains: [{ filters: [manager] }] } as never),
      {
        extensions: EXTENSIONS,
      },
    );
    await proxy.admin('/healthcheck/fail', 'POST');
    expect((await proxy.get('/')).header('connection')).toBe(fate === 'close' ? 'close' : undefined);
  });
});
