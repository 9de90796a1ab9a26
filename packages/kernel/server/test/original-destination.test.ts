import type { Extension, FilterStateObject, ListenerFilterExtension, LogContext } from '@dragoman/core';
import type { SocketConnection } from '@dragoman/network';
import { eventually, exchange, type JsonObject, localAddress, rawClient } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { listenerOf, start, THREADS } from './dynamic.ts';
import { captureLogger, chainOf, EXTENSIONS, networkFilter, says } from './extensions.ts';
import { restoring } from './support/restoring.ts';

/** Takes `bytes` bytes, and leaves something behind. */
const peeking = (name: string, bytes: number): ListenerFilterExtension => ({
  category: 'listener-filters',
  name,
  create: () => () => ({
    maxReadBytes: bytes,
    consumed: bytes,
    onAccept: () => 'wait',
    onData({ peeked, info }) {
      if (peeked.length < bytes) return 'wait';
      (info.filterState ??= new Map<string, FilterStateObject>()).set(name, {});
      return 'continue';
    },
  }),
});

const unbound = (name: string, address: JsonObject, more: JsonObject = {}): JsonObject => ({
  name,
  stat_prefix: name,
  address,
  bind_to_port: false,
  filter_chains: [says(name)],
  ...more,
});
const wide = (ip: string, port: number, fields: JsonObject = {}): JsonObject => ({
  socket_address: { address: ip, port_value: port, ...fields },
});

const HELD = [
  unbound('exact', wide('10.1.0.1', 8080)),
  unbound('any', wide('0.0.0.0', 8080)),
  unbound('any6', wide('::', 8081, { ipv4_compat: true })),
  unbound('only6', wide('::', 8082)),
];
const virtual = (fields: JsonObject = {}): JsonObject => ({
  name: 'virtual',
  stat_prefix: 'virtual',
  address: localAddress(),
  use_original_dst: true,
  filter_chains: [says('virtual')],
  ...fields,
});
const resources = (...listeners: JsonObject[]): JsonObject => ({ static_resources: { listeners } });
const run = (to: string | undefined, listeners: JsonObject[], more: Extension[] = []) =>
  start(resources(...listeners), {
    extensions: [...EXTENSIONS, restoring(to), ...more],
    flags: { concurrency: 1 },
  });

describe('use_original_dst hands a connection to the listener', () => {
  test.each<[string | undefined, string]>([
    ['10.1.0.1:8080', 'exact'],
    ['10.1.0.2:8080', 'any'],
    ['10.1.0.2:8081', 'any6'],
    ['[2001:db8::1]:8081', 'any6'],
    ['10.1.0.2:8082', 'virtual'],
    ['[2001:db8::1]:8082', 'only6'],
    ['10.1.0.2:8083', 'virtual'],
    [undefined, 'virtual'],
  ])('of %s: %s', async (to, expected) => {
    await using proxy = await run(to, [virtual(), ...HELD]);
    expect(await exchange({ port: proxy.port })).toBe(expected);
    await eventually(() => proxy.stat(`listener.${expected}.downstream_cx_destroy`) === 1);
    for (const name of ['virtual', 'exact', 'any', 'any6', 'only6']) {
      expect([name, proxy.stat(`listener.${name}.downstream_cx_total`)]).toEqual([
        name,
        name === expected ? 1 : 0,
      ]);
      expect(proxy.stat(`listener.${name}.downstream_cx_active`)).toBe(0);
      expect(proxy.stat(`listener.${name}.downstream_pre_cx_active`)).toBe(0);
    }
  });

  test('not without it: filter chains see the address all the same', async () => {
    const listener = virtual({
      use_original_dst: false,
      listener_filters: [{ name: 'envoy.filters.listener.original_dst' }],
      filter_chains: [
        says('port', { destination_port: 8080 }),
        says('range', { prefix_ranges: [{ address_prefix: '10.1.0.0', prefix_len: 24 }] }),
      ],
    });
    for (const [to, expected] of [
      ['10.1.0.1:8080', 'port'],
      ['10.1.0.1:1', 'range'],
    ] as const) {
      await using proxy = await run(to, [listener, ...HELD]);
      expect(await exchange({ port: proxy.port })).toBe(expected);
    }
  });

  test('which does not hand it on', async () => {
    const addresses = ['10.1.0.1:8080', '10.1.0.3:8080'];
    const wandering: ListenerFilterExtension = {
      ...restoring(undefined),
      create: (config, context) => () => restoring(addresses.shift()).create(config, context)(),
    };
    await using proxy = await start(
      resources(
        virtual(),
        unbound('exact', wide('10.1.0.1', 8080), { use_original_dst: true }),
        unbound('next', wide('10.1.0.3', 8080)),
      ),
      { extensions: [...EXTENSIONS, wandering], flags: { concurrency: 1 } },
    );
    expect(await exchange({ port: proxy.port })).toBe('exact');
    expect(addresses).toEqual([]);
  });

  test('that sees what the first one’s filters have left, and nothing else of them', async () => {
    const logged: LogContext[] = [];
    const states: string[][] = [];
    const seen: string[] = [];
    const reads = networkFilter('reads', true, ({ connection }) => ({
      onData(data) {
        states.push([...(connection.info.filterState?.keys() ?? [])]);
        seen.push(data.toString());
        expect((connection as SocketConnection).bufferLimitBytes).toBe(7777);
        connection.close('flush');
        return undefined;
      },
    }));
    const listeners = [
      virtual({ listener_filters: [{ name: 'first' }], access_log: [{ name: 'capture' }] }),
      unbound('exact', wide('10.1.0.1', 8080), {
        listener_filters: [{ name: 'second' }],
        filter_chains: [chainOf('reads')],
        access_log: [{ name: 'capture' }],
        per_connection_buffer_limit_bytes: 7777,
      }),
    ];
    const more = [peeking('first', 3), peeking('second', 2), reads, captureLogger(logged)];
    for (const pieces of [['abcdeREST'], [...'abcde', 'REST'], ['abcd', 'eREST']]) {
      await using proxy = await run('10.1.0.1:8080', listeners, more);
      await using client = await proxy.connect();
      for (const piece of pieces) await client.write(piece);
      await client.readUntilClose();
      await eventually(() => proxy.stat('listener.exact.downstream_cx_destroy') === 1);
      expect(seen.splice(0).join('')).toBe('REST');
      expect(new Set(states.splice(0).flat())).toEqual(new Set(['second']));
      expect(logged.splice(0)).toHaveLength(1);
    }
  });

  test('and stays where it is while that listener waits for bytes, counted there', async () => {
    await using proxy = await run(
      '10.1.0.1:8080',
      [virtual(), unbound('exact', wide('10.1.0.1', 8080), { listener_filters: [{ name: 'second' }] })],
      [peeking('second', 2)],
    );
    await using client = await rawClient({ port: proxy.port });
    await proxy.untilStat('listener.exact.downstream_pre_cx_active', 1);
    expect(proxy.stat('listener.virtual.downstream_pre_cx_active')).toBe(0);
    client.end();
    await client.readUntilClose();
    await proxy.untilStat('listener.exact.downstream_listener_filter_remote_close', 1);
    expect(proxy.stat('listener.virtual.downstream_listener_filter_remote_close')).toBe(0);
  });
});

describe.each(THREADS)('listeners that come and go, %s', (_, threads) => {
  test('are handed connections while they are there', async () => {
    const extensions = [...EXTENSIONS, restoring('10.1.0.1:8080')];
    await using proxy = await start(resources(virtual()), { extensions, threads });
    const ask = () => exchange({ port: proxy.port });
    const put = (name: string, ip: string, text = name) =>
      proxy.proxy.addOrUpdateListener(
        listenerOf(unbound(name, wide(ip, 8080), { filter_chains: [says(text)] })),
      );
    expect(await ask()).toBe('virtual');
    await put('any', '0.0.0.0');
    expect(await ask()).toBe('any');
    await put('exact', '10.1.0.1');
    expect(await ask()).toBe('exact');
    await put('exact', '10.1.0.1', 'newer');
    expect(await ask()).toBe('newer');
    await expect(put('same', '10.1.0.1')).rejects.toThrow('listener "exact" has 10.1.0.1:8080 already');
    expect(await ask()).toBe('newer');
    await put('exact', '10.1.0.9');
    expect(await ask()).toBe('any');
    await proxy.proxy.removeListener('any');
    expect(await ask()).toBe('virtual');
  });
});
