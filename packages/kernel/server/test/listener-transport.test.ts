import { UpstreamTlsContextSchema } from '@dragoman/api';
import { type DownstreamTransportSocket, defineTransportSocket } from '@dragoman/core';
import { exchange, type JsonObject, localAddress, startProxy } from '@dragoman/testing';
import { expect, test } from 'vitest';
import { EXTENSIONS, says } from './extensions.ts';

/** A transport that wants `hi` before anything else, and then leaves the socket as it is. */
function greeting(closed: () => void) {
  return defineTransportSocket({
    name: 'test.greeting',
    config: UpstreamTlsContextSchema,
    createDownstream: (): DownstreamTransportSocket => ({
      name: 'greeting',
      secure: true,
      accept: (info) => ({
        inspect(peeked) {
          if (!'hi'.startsWith(peeked.toString().slice(0, 2))) {
            info.transportFailureReason = 'no greeting';
            return 'close';
          }
          return peeked.length < 2 ? 'wait' : 'ready';
        },
        wrap(socket, events) {
          setImmediate(() => events.onReady());
          return socket;
        },
      }),
      close: closed,
    }),
  });
}

const bootstrap = (port = 0, chain: object = {}) =>
  ({
    static_resources: {
      listeners: [
        {
          name: 'one',
          address: localAddress(port),
          filter_chains: [
            { ...(says('hello') as object), transport_socket: { name: 'test.greeting' }, ...chain },
          ],
        },
      ],
    },
  }) as JsonObject;

test('filters hear of a connection once its transport is ready, in whatever pieces its beginning comes', async () => {
  let closed = 0;
  const proxy = await startProxy(bootstrap(), { extensions: [...EXTENSIONS, greeting(() => closed++)] });
  expect(await exchange({ port: proxy.port }, 'h', 'i')).toBe('hello');
  expect(await exchange({ port: proxy.port }, 'no')).toBe('');
  expect(proxy.stat('listener.127.0.0.1_0.downstream_cx_total')).toBe(2);
  expect(closed).toBe(0);
  await proxy[Symbol.asyncDispose]();
  expect(closed).toBe(1);
});

test('transport_socket_connect_timeout ends a connection that does not come on', async () => {
  await using proxy = await startProxy(bootstrap(0, { transport_socket_connect_timeout: '0.05s' }), {
    extensions: [...EXTENSIONS, greeting(() => {})],
  });
  expect(await exchange({ port: proxy.port }, 'h')).toBe('');
  expect(proxy.stat('listener.127.0.0.1_0.downstream_cx_transport_socket_connect_timeout')).toBe(1);
});
