import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '@dragoman/api';
import { Address, type ListenerFilterExtension, type LogContext } from '@dragoman/core';
import {
  eventually,
  exchange,
  FakeClock,
  type JsonObject,
  localAddress,
  rawClient,
  startProxy,
} from '@dragoman/testing';
import { afterAll, describe, expect, test } from 'vitest';
import { createProxy } from '../src/index.ts';
import { captureLogger, chainOf, EXTENSIONS, networkFilter, says } from './extensions.ts';

const folder = mkdtempSync(join(tmpdir(), 'dragoman-server-'));
afterAll(() => rmSync(folder, { recursive: true }));

const only = (listener: JsonObject, ...more: JsonObject[]): JsonObject => ({
  static_resources: { listeners: [{ name: 'one', address: localAddress(), ...listener }, ...more] },
});
const start = (bootstrap: JsonObject, extensions = EXTENSIONS) => startProxy(bootstrap, { extensions });

describe('addresses', () => {
  test('several listeners, each on its own', async () => {
    await using proxy = await start(
      only(
        { filter_chains: [says('one')] },
        { name: 'two', address: localAddress(), filter_chains: [says('two')] },
      ),
    );
    expect(await exchange({ port: proxy.portOf('one') })).toBe('one');
    expect(await exchange({ port: proxy.portOf('two') })).toBe('two');
    expect(proxy.proxy.listeners.map(({ name }) => name)).toEqual(['one', 'two']);
    expect(proxy.stat('listener_manager.total_listeners_active')).toBe(2);
    expect(() => proxy.portOf('three')).toThrow('there is no listener "three"; there are "one", "two"');
  });

  test('additional addresses serve the same', async () => {
    await using proxy = await start(
      only({
        filter_chains: [says('x')],
        additional_addresses: [{ address: localAddress() }, { address: localAddress(0, '::1') }],
      }),
    );
    const { addresses } = proxy.proxy.listeners[0] as { addresses: readonly { ip: string; port: number }[] };
    expect(new Set(addresses.map(({ port }) => port)).size).toBeGreaterThan(1);
    expect(addresses).toHaveLength(3);
    for (const { ip, port } of addresses) expect(await exchange({ host: ip, port })).toBe('x');
  });

  test('Unix sockets, by path and abstract', async () => {
    const path = join(folder, 'listener.sock');
    const abstract = `@dragoman-test-${process.pid}`;
    await using proxy = await start(
      only(
        { address: { pipe: { path, mode: 0o600 } }, filter_chains: [says('path')] },
        { name: 'two', address: { pipe: { path: abstract } }, filter_chains: [says('abstract')] },
      ),
    );
    expect(await exchange({ path })).toBe('path');
    expect(await exchange({ path: abstract.replace('@', '\0') })).toBe('abstract');
    expect(proxy.proxy.address('two').text).toBe(abstract);
  });

  test('bind_to_port: false binds nothing', async () => {
    const { port } = await freePort();
    await using proxy = await start(
      only({ address: localAddress(port), bind_to_port: false, filter_chains: [says('x')] }),
    );
    expect(proxy.port).toBe(port);
    await expect(rawClient({ port })).rejects.toThrow('ECONNREFUSED');
  });

  test('a taken port: the message names it and the line that asked for it, and nothing stays bound', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as AddressInfo;
    const free = await freePort();
    const file = join(folder, 'envoy.yaml');
    writeFileSync(
      file,
      `static_resources:
  listeners:
    - name: free
      address: { socket_address: { address: 127.0.0.1, port_value: ${free.port} } }
      filter_chains: [{ filters: [{ name: say }] }]
    - name: taken
      address:
        socket_address: { address: 127.0.0.1, port_value: ${port} }
      filter_chains: [{ filters: [{ name: say }] }]
`,
    );
    const say = networkFilter('say', true, () => ({}));
    await expect(
      createProxy({ bootstrap: loadConfig({ file }) as never, extensions: [...EXTENSIONS, say] }),
    ).rejects.toThrow(
      `${file}:7:7: static_resources.listeners[1].address: cannot listen on 127.0.0.1:${port}: Address already in use`,
    );
    await expect(rawClient({ port: free.port })).rejects.toThrow('ECONNREFUSED');
    await new Promise((resolve) => taken.close(resolve));
  });

  test('what is no address is refused', async () => {
    await expect(
      start(only({ address: localAddress(0, 'localhost'), filter_chains: [says('x')] })),
    ).rejects.toThrow(
      'static_resources.listeners[0].address.socket_address.address: "localhost" is not an IP address',
    );
  });
});

describe('filter-chain match', () => {
  // Precedence: destination port, destination IP, …, source type, source IP, source port.
  const cases: readonly [name: string, chains: readonly JsonObject[], said: string][] = [
    ['no match takes all', [says('all')], 'all'],
    ['a port that is another’s', [says('port', { destination_port: 1 }), says('rest')], 'rest'],
    [
      'the longest destination prefix',
      [
        says('8', { prefix_ranges: [{ address_prefix: '127.0.0.0', prefix_len: 8 }] }),
        says('32', { prefix_ranges: [{ address_prefix: '127.0.0.1', prefix_len: 32 }] }),
      ],
      '32',
    ],
    [
      '/0 before no range',
      [says('none'), says('0', { prefix_ranges: [{ address_prefix: '0.0.0.0', prefix_len: 0 }] })],
      '0',
    ],
    [
      'the source prefix',
      [
        says('10', { source_prefix_ranges: [{ address_prefix: '10.0.0.0', prefix_len: 8 }] }),
        says('127', { source_prefix_ranges: [{ address_prefix: '127.0.0.0', prefix_len: 8 }] }),
      ],
      '127',
    ],
    [
      'the direct source prefix',
      [
        says('any'),
        says('direct', { direct_source_prefix_ranges: [{ address_prefix: '127.0.0.0', prefix_len: 8 }] }),
      ],
      'direct',
    ],
    [
      'the source type',
      [says('external', { source_type: 'EXTERNAL' }), says('local', { source_type: 'SAME_IP_OR_LOOPBACK' })],
      'local',
    ],
    [
      'the transport protocol',
      [says('tls', { transport_protocol: 'tls' }), says('raw', { transport_protocol: 'raw_buffer' })],
      'raw',
    ],
    ['a server name without TLS', [says('name', { server_names: ['a.test'] }), says('rest')], 'rest'],
    [
      'application protocols that nobody offered',
      [says('h2', { application_protocols: ['h2'] }), says('rest')],
      'rest',
    ],
    [
      'destination before source',
      [
        says('destination', { prefix_ranges: [{ address_prefix: '127.0.0.1', prefix_len: 32 }] }),
        says('source', { source_prefix_ranges: [{ address_prefix: '127.0.0.1', prefix_len: 32 }] }),
      ],
      'destination',
    ],
    [
      'a choice is not taken back',
      [
        says('both', {
          prefix_ranges: [{ address_prefix: '127.0.0.1', prefix_len: 32 }],
          source_type: 'EXTERNAL',
        }),
        says('other', { source_type: 'SAME_IP_OR_LOOPBACK' }),
      ],
      'default',
    ],
    [
      'a source port that is another’s',
      [says('port', { source_ports: [1] }), says('rest', { source_type: 'ANY' })],
      'rest',
    ],
  ];

  test.each(cases)('%s', async (_, filter_chains, said) => {
    await using proxy = await start(only({ filter_chains, default_filter_chain: says('default') }));
    expect(await exchange({ port: proxy.port })).toBe(said);
  });

  test('a connection that nothing fits is closed, counted and logged', async () => {
    const logged: LogContext[] = [];
    await using proxy = await start(
      only({
        filter_chains: [says('x', { destination_port: 1 })],
        access_log: [{ name: 'capture' }],
        stat_prefix: 'one',
      }),
      [...EXTENSIONS, captureLogger(logged)],
    );
    expect(await exchange({ port: proxy.port }).catch(() => '')).toBe('');
    await eventually(() => logged.length === 1);
    expect(proxy.stat('listener.one.no_filter_chain_match')).toBe(1);
    expect(logged[0]?.info.responseCodeDetails).toBe('filter_chain_not_found');
  });

  test.each([
    [
      'identical matches',
      { filter_chains: [says('a', { destination_port: 1 }), says('b', { destination_port: 1 })] },
      'filter_chains[1].filter_chain_match: filter_chains[0] has the same match',
    ],
    [
      'two chains without a match',
      { filter_chains: [says('a'), says('b')] },
      'filter_chains[1].filter_chain_match: filter_chains[0] has the same match',
    ],
    [
      'a bad range',
      { filter_chains: [says('a', { prefix_ranges: [{ address_prefix: 'x', prefix_len: 1 }] })] },
      'filter_chain_match.prefix_ranges[0].address_prefix: "x" is not an IP address',
    ],
    [
      'a bad wildcard',
      { filter_chains: [says('a', { server_names: ['a.*'] })] },
      'a wildcard may only stand for the first label',
    ],
    ['an address suffix', { filter_chains: [says('a', { address_suffix: 'x' })] }, 'address_suffix'],
    ['no chain', {}, 'filter_chains: a listener needs at least one filter chain'],
    [
      'a chain without a filter',
      { filter_chains: [{ filters: [] }] },
      'filter_chains[0].filters: there is no filter',
    ],
    [
      'an unknown filter',
      { filter_chains: [{ filters: [{ name: 'envoy.filters.network.redis_proxy' }] }] },
      '@dragoman/network-filter-redis-proxy would provide it',
    ],
    [
      'use_original_dst',
      { filter_chains: [says('a')], use_original_dst: true },
      'use_original_dst: extension "envoy.filters.listener.original_dst" is not part of this proxy: the package @dragoman/listener-filter-original-dst',
    ],
    ['udp', { filter_chains: [says('a')], udp_listener_config: {} }, 'UDP listeners are not supported yet'],
    [
      'a socket option',
      { filter_chains: [says('a')], socket_options: [{ level: 1, name: 99, int_value: 1 }] },
      'socket option level 1 name 99 cannot be set on Node',
    ],
  ])('%s: refused', async (_, listener, text) => {
    await expect(start(only(listener as JsonObject))).rejects.toThrow(text);
  });
});

describe('connections', () => {
  test('limits by runtime: a listener’s own, and all', async () => {
    const runtime = (values: JsonObject): JsonObject => ({
      layered_runtime: { layers: [{ name: 's', static_layer: values }] },
    });
    const hold = networkFilter('hold', true, () => ({}));
    const listener = { stat_prefix: 'one', filter_chains: [chainOf('hold')] };
    for (const [key, stat] of [
      ['envoy.resource_limits.listener.one.connection_limit', 'downstream_cx_overflow'],
      ['overload.global_downstream_max_connections', 'downstream_global_cx_overflow'],
    ] as const) {
      await using proxy = await start({ ...only(listener), ...runtime({ [key]: 1 }) }, [...EXTENSIONS, hold]);
      await using first = await rawClient({ port: proxy.port });
      await proxy.untilStat('listener.one.downstream_cx_active', 1);
      await using second = await rawClient({ port: proxy.port });
      await second.readUntilClose();
      expect(proxy.stat(`listener.one.${stat}`)).toBe(1);
      expect(first.peerEnded).toBe(false);
    }
  });

  test('are counted and logged by the listener', async () => {
    const logged: LogContext[] = [];
    await using proxy = await start(
      only({
        stat_prefix: 'one',
        filter_chains: [chainOf('envoy.filters.network.echo')],
        access_log: [{ name: 'capture' }],
      }),
      [...EXTENSIONS, captureLogger(logged)],
    );
    await using client = await proxy.connect();
    await client.write('hello');
    expect((await client.read(5)).toString()).toBe('hello');
    client.end();
    await eventually(() => logged.length === 1);
    expect(logged[0]?.type).toBe('NotSet');
    expect([logged[0]?.info.bytesReceived, logged[0]?.info.bytesSent]).toEqual([5, 5]);
    expect(proxy.stat('listener.one.downstream_cx_total')).toBe(1);
    expect(proxy.stat('listener.one.worker_0.downstream_cx_total')).toBe(1);
    await proxy.untilStat('listener.one.downstream_cx_destroy', 1);
    expect(proxy.stat('listener.one.downstream_cx_active')).toBe(0);
  });
});

describe('network filters', () => {
  test('in order, with replaced bytes; one that pauses holds what follows until it resumes', async () => {
    const seen: string[] = [];
    let resume = (): void => {};
    const loud = networkFilter('loud', false, () => ({
      onData: (data) => {
        seen.push(`loud ${data}`);
        return Buffer.from(data.toString().toUpperCase());
      },
      onEnd: () => void seen.push('loud end'),
      onClose: () => void seen.push('loud close'),
    }));
    const waits = networkFilter('waits', false, (connection) => {
      resume = () => connection.resume();
      return { onNewConnection: () => 'pause', onData: (data) => void seen.push(`waits ${data}`) };
    });
    const answers = networkFilter('answers', true, ({ connection }) => ({
      onNewConnection: () => void seen.push('answers new'),
      onData: (data) => {
        connection.writeBody(data, false);
      },
      onEnd: () => connection.close('flush'),
    }));
    await using proxy = await start(only({ filter_chains: [chainOf('loud', 'waits', 'answers')] }), [
      loud,
      waits,
      answers,
    ]);
    await using client = await proxy.connect();
    await client.write('abc');
    await eventually(() => seen.includes('loud abc'));
    expect(seen).toEqual(['loud abc']);
    resume();
    expect((await client.read(3)).toString()).toBe('ABC');
    client.end();
    await client.closed;
    await eventually(() => seen.includes('loud close'));
    expect(seen).toEqual(['loud abc', 'answers new', 'waits ABC', 'loud end', 'loud close']);
  });

  test('a pause in onData keeps those bytes for the next filter', async () => {
    let resume = (): void => {};
    const seen: string[] = [];
    const gate = networkFilter('gate', false, (connection) => {
      resume = () => connection.resume();
      return {
        onData(data) {
          seen.push(data.toString());
          return seen.length === 1 ? 'pause' : undefined;
        },
      };
    });
    await using proxy = await start(
      only({ filter_chains: [chainOf('gate', 'envoy.filters.network.echo')] }),
      [...EXTENSIONS, gate],
    );
    await using client = await proxy.connect();
    await client.write('one');
    await eventually(() => seen.length === 1);
    resume();
    expect((await client.read(3)).toString()).toBe('one');
    await client.write('two');
    expect((await client.read(3)).toString()).toBe('two');
    expect(seen).toEqual(['one', 'two']);
  });

  test('terminal filters stand last, and only there', async () => {
    const plain = networkFilter('plain', false, () => ({}));
    await expect(start(only({ filter_chains: [chainOf('plain')] }), [plain])).rejects.toThrow(
      'plain is not a terminal filter',
    );
    await expect(
      start(only({ filter_chains: [chainOf('envoy.filters.network.echo', 'plain')] }), [
        ...EXTENSIONS,
        plain,
      ]),
    ).rejects.toThrow('envoy.filters.network.echo is a terminal filter: it must be the last');
  });
});

describe('listener filters', () => {
  const filter = (wanted: string): ListenerFilterExtension => ({
    category: 'listener-filters',
    name: 'peeks',
    create: () => () => ({
      maxReadBytes: 16,
      consumed: wanted.length,
      onAccept: () => 'wait',
      onData: ({ peeked }) =>
        peeked.length < wanted.length
          ? 'wait'
          : peeked.toString('latin1').startsWith(wanted)
            ? 'continue'
            : 'close',
    }),
  });
  const listener = (more: JsonObject = {}): JsonObject =>
    only({
      stat_prefix: 'one',
      listener_filters: [{ name: 'peeks' }],
      filter_chains: [chainOf('envoy.filters.network.echo')],
      ...more,
    });
  const extensions = [...EXTENSIONS, filter('MAGIC')];

  test('see the first bytes in any pieces, and may take them off', async () => {
    await using proxy = await start(listener(), extensions);
    await using client = await proxy.connect();
    await client.write('MA', 'GIC', 'rest');
    expect((await client.read(4)).toString()).toBe('rest');
    expect(proxy.stat('listener.one.downstream_pre_cx_active')).toBe(0);
  });

  test('may refuse the connection', async () => {
    await using proxy = await start(listener(), extensions);
    await using client = await proxy.connect();
    await client.write('WRONG');
    await client.readUntilClose();
    await proxy.untilStat('listener.one.downstream_cx_active', 0);
  });

  test('a peer that says nothing: closed after listener_filters_timeout, or handed on', async () => {
    for (const goOn of [false, true]) {
      const clock = new FakeClock();
      await using proxy = await startProxy(
        listener({ listener_filters_timeout: '2s', continue_on_listener_filters_timeout: goOn }),
        { extensions, clock },
      );
      await using client = await proxy.connect();
      await proxy.untilStat('listener.one.downstream_pre_cx_active', 1);
      clock.advance(2000);
      expect(proxy.stat('listener.one.downstream_pre_cx_timeout')).toBe(1);
      await proxy.untilStat('listener.one.downstream_pre_cx_active', 0);
      if (!goOn) {
        await client.readUntilClose();
        continue;
      }
      await client.write('echo');
      expect((await client.read(4)).toString()).toBe('echo');
    }
  });

  test('a peer that ends its side is counted, and gone: nobody would read the rest', async () => {
    const logged: LogContext[] = [];
    await using proxy = await start(listener({ access_log: [{ name: 'capture' }] }), [
      ...extensions,
      captureLogger(logged),
    ]);
    await using client = await proxy.connect();
    await client.write('MAG');
    client.end();
    await proxy.untilStat('listener.one.downstream_listener_filter_remote_close', 1);
    expect(await client.readUntilClose()).toBe('');
    await proxy.untilStat('listener.one.downstream_pre_cx_active', 0);
    expect(proxy.stat('listener.one.downstream_cx_total')).toBe(0);
    expect(logged).toHaveLength(1);
  });

  test('a peer that resets the connection is counted as an error', async () => {
    await using proxy = await start(listener(), extensions);
    await using client = await proxy.connect();
    await client.write('MAG');
    await proxy.untilStat('listener.one.downstream_pre_cx_active', 1);
    client.reset();
    await proxy.untilStat('listener.one.downstream_listener_filter_error', 1);
    await proxy.untilStat('listener.one.downstream_pre_cx_active', 0);
  });

  test('a connection counts once it has a filter chain', async () => {
    const clock = new FakeClock();
    await using proxy = await startProxy(listener(), { extensions, clock });
    await using client = await proxy.connect();
    await proxy.untilStat('listener.one.downstream_pre_cx_active', 1);
    const counted = ['downstream_cx_total', 'downstream_cx_active', 'worker_0.downstream_cx_active'];
    expect(counted.map((name) => proxy.stat(`listener.one.${name}`))).toEqual([0, 0, 0]);
    clock.advance(5000);
    await client.write('MAGIC');
    await proxy.untilStat('listener.one.downstream_pre_cx_active', 0);
    expect(counted.map((name) => proxy.stat(`listener.one.${name}`))).toEqual([1, 1, 1]);
    clock.advance(300);
    client.end();
    await proxy.untilStat('listener.one.downstream_cx_destroy', 1);
    expect(proxy.stat('listener.one.downstream_cx_active')).toBe(0);
    proxy.proxy.stats.flush();
    const lengths = proxy.proxy.stats.histograms.get('listener.one.downstream_cx_length_ms')?.cumulative;
    expect([lengths?.sampleCount, Math.round((lengths?.sampleSum ?? 0) / 100)]).toEqual([1, 3]);
  });

  test('have as many bytes as they want, and those that follow are for the next one', async () => {
    const seen: number[] = [];
    const greedy = (name: string, want: number, growTo = want): ListenerFilterExtension => ({
      category: 'listener-filters',
      name,
      create: () => () => {
        const filter = {
          maxReadBytes: want,
          consumed: growTo,
          onAccept: () => 'wait' as const,
          onData: ({ peeked }: { readonly peeked: Buffer }) => {
            seen.push(peeked.length);
            if (peeked.length === growTo) return 'continue' as const;
            filter.maxReadBytes = growTo;
            return 'wait' as const;
          },
        };
        return filter;
      },
    });
    await using proxy = await start(listener({ listener_filters: [{ name: 'first' }, { name: 'second' }] }), [
      ...EXTENSIONS,
      greedy('first', 2, 4),
      greedy('second', 3),
    ]);
    await using client = await proxy.connect();
    await client.write('1234567rest');
    expect((await client.read(4)).toString()).toBe('rest');
    expect(seen).toEqual([2, 4, 3]);
  });

  test('one that has what it wanted, and waits, costs the connection', async () => {
    const insatiable: ListenerFilterExtension = {
      category: 'listener-filters',
      name: 'peeks',
      create: () => () => ({ maxReadBytes: 3, onAccept: () => 'wait', onData: () => 'wait' }),
    };
    await using proxy = await start(listener(), [...EXTENSIONS, insatiable]);
    await using client = await proxy.connect();
    await client.write('ab', 'c');
    expect(await client.readUntilClose()).toBe('');
  });

  test.each<[string, JsonObject, boolean]>([
    ['any_match', { any_match: true }, true],
    ['not_match', { not_match: { any_match: true } }, false],
    ['a range with the port', { destination_port_range: { start: 1, end: 65_535 } }, true],
    ['a range without it', { destination_port_range: { start: 1, end: 2 } }, false],
    [
      'or_match',
      { or_match: { rules: [{ destination_port_range: { start: 1, end: 2 } }, { any_match: true }] } },
      true,
    ],
    [
      'and_match',
      { and_match: { rules: [{ destination_port_range: { start: 1, end: 2 } }, { any_match: true }] } },
      false,
    ],
  ])('are left out by filter_disabled: %s', async (_, predicate, disabled) => {
    await using proxy = await start(
      listener({ listener_filters: [{ name: 'peeks', filter_disabled: predicate }] }),
      extensions,
    );
    await using client = await proxy.connect();
    await client.write('MAGIC', 'rest');
    expect((await client.read(4)).toString()).toBe(disabled ? 'MAGI' : 'rest');
  });

  test('filter_disabled looks at the port that a filter before has set', async () => {
    const moves: ListenerFilterExtension = {
      category: 'listener-filters',
      name: 'moves',
      create: () => () => ({
        maxReadBytes: 0,
        onAccept({ info }) {
          info.localAddress = Address.ip('192.0.2.1', 7);
          return 'continue';
        },
      }),
    };
    const filterDisabled = { destination_port_range: { start: 7, end: 8 } };
    await using proxy = await start(
      listener({
        listener_filters: [{ name: 'moves' }, { name: 'peeks', filter_disabled: filterDisabled }],
      }),
      [...extensions, moves],
    );
    await using client = await proxy.connect();
    await client.write('echo');
    expect((await client.read(4)).toString()).toBe('echo');
  });

  test.each([
    ['no rule', {}, 'filter_disabled: one of or_match'],
    ['any_match: false', { any_match: false }, 'filter_disabled.any_match'],
    ['one rule', { or_match: { rules: [{ any_match: true }] } }, 'filter_disabled.or_match.rules'],
    ['no rule below', { not_match: {} }, 'filter_disabled.not_match'],
  ])('filter_disabled with %s: refused', async (_, predicate, text) => {
    await expect(
      start(listener({ listener_filters: [{ name: 'peeks', filter_disabled: predicate }] }), extensions),
    ).rejects.toThrow(text);
  });
});

async function freePort(): Promise<AddressInfo> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return address;
}
