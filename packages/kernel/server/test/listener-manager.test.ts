import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  eventually,
  exchange,
  FakeClock,
  type JsonObject,
  localAddress,
  type RawConnection,
  type RawResponse,
  rawClient,
  requestText,
  SeededRandom,
  type TestProxy,
  trackLeaks,
} from '@dragoman/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { accepts, answers, freePort, listenerOf, start, THREADS, visit } from './dynamic.ts';
import { chainOf, EXTENSIONS, networkFilter, says } from './extensions.ts';

const DRAIN_MS = 400;
const GET = requestText('GET', '/');
const folder = mkdtempSync(join(tmpdir(), 'dragoman-listeners-'));
afterAll(() => rmSync(folder, { recursive: true }));

const says1 = (name: string, text: string, more: JsonObject = {}): JsonObject => ({
  name,
  address: localAddress(),
  filter_chains: [says(text)],
  ...more,
});

/** One request after another until a response ends the connection, or it ends between two because the test took too long over them. */
async function askUntilTold(client: RawConnection, said: string): Promise<void> {
  for (;;) {
    await client.write(GET);
    let response: RawResponse;
    try {
      response = await client.readResponse();
    } catch (error) {
      expect(String(error)).toContain('ended before a response; unread: ""');
      return;
    }
    expect(response.body.toString()).toBe(said);
    if (response.header('connection') === 'close') return;
  }
}

/** Somebody else's. */
async function takenPort(): Promise<{ port: number } & AsyncDisposable> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { port, [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())) };
}

describe.each(THREADS)('%s', (name, threads) => {
  const workers = name.includes('two') ? 2 : 1;
  let proxy: TestProxy;
  beforeAll(async () => {
    const bootstrap = {
      admin: { address: localAddress() },
      static_resources: { listeners: [says1('static', 'static')] },
    };
    proxy = await start(bootstrap, { threads, flags: { drainTimeMs: DRAIN_MS } });
  });
  afterAll(() => proxy.close());

  const put = (listener: JsonObject) => proxy.proxy.addOrUpdateListener(listenerOf(listener));
  const remove = (listener: string) => proxy.proxy.removeListener(listener);
  const stat = (short: string) => proxy.stat(`listener_manager.${short}`);
  const NAMES = ['listener_added', 'listener_modified', 'listener_removed', 'listener_create_success'];
  const MORE = ['listener_create_failure', 'total_listeners_active', 'total_listeners_warming'];
  /** What `work` counts. */
  const counted = async (work: () => Promise<unknown>): Promise<Record<string, number>> => {
    const before = [...NAMES, ...MORE].map(stat);
    await work();
    const added = [...NAMES, ...MORE].map((short, i) => [short, stat(short) - before[i]] as const);
    return Object.fromEntries(added.filter(([, value]) => value !== 0));
  };
  const dump = async () => {
    const { configs } = JSON.parse((await proxy.admin('/config_dump')).body.toString());
    const part = configs.find((one: JsonObject) => `${one['@type']}`.endsWith('.ListenersConfigDump'));
    return {
      statics: (part.static_listeners ?? []).map((one: { listener: JsonObject }) => one.listener.name),
      dynamic: (listener: string) =>
        (part.dynamic_listeners ?? []).find((one: JsonObject) => one.name === listener),
    };
  };

  test('adds one, which serves and is shown', async () => {
    expect(await counted(() => put(says1('added', 'hello')))).toEqual({
      listener_added: 1,
      listener_create_success: workers,
      total_listeners_active: 1,
    });
    const port = proxy.portOf('added');
    expect(await exchange({ port })).toBe('hello');
    expect((await proxy.admin('/listeners')).body.toString()).toContain(`added::127.0.0.1:${port}\n`);
    const { statics, dynamic } = await dump();
    expect(statics).toEqual(['static']);
    expect(dynamic('added')).toMatchObject({
      name: 'added',
      active_state: { listener: { name: 'added' }, last_updated: expect.stringMatching(/^20/) },
    });
    expect(Object.keys(dynamic('added'))).toEqual(['name', 'active_state']);
  });

  test('does nothing about the same config, or nobody of a name', async () => {
    await put(says1('same', 'x'));
    expect(
      await counted(async () => {
        expect(await put(says1('same', 'x'))).toBe(false);
        expect(await remove('nobody')).toBe(false);
      }),
    ).toEqual({});
  });

  test('20 updates at the same address: nobody is refused or reset', async () => {
    await put(says1('often', 'version 0'));
    const port = proxy.portOf('often');
    const updates = async () => {
      for (let i = 1; i <= 20; i++) {
        expect(await put(says1('often', `version ${i}`))).toBe(true);
        expect(await exchange({ port })).toBe(`version ${i}`);
      }
    };
    const counts = counted(async () => {
      const { texts, failures } = await visit(port, updates());
      expect(failures).toEqual([]);
      expect(texts.size).toBeGreaterThan(5);
    });
    expect(await counts).toEqual({ listener_modified: 20, listener_create_success: 20 * workers });
    expect(proxy.portOf('often')).toBe(port);
    await proxy.untilStat('listener_manager.total_listeners_draining', 0);
  });

  test('an update lets old connections go on as they were, asks them to end, and ends them', async () => {
    const version = (text: string) => says1('http', '', { filter_chains: [answers(text)] });
    await put(version('one'));
    const port = proxy.portOf('http');
    await using busy = await rawClient({ port });
    await using silent = await rawClient({ port });
    await using midway = await rawClient({ port });
    await midway.write('GET / HTTP/1.1\r\n');
    await busy.write(GET);
    expect((await busy.readResponse()).body.toString()).toBe('one');
    await put(version('two'));
    expect(stat('total_listeners_draining')).toBe(1);
    expect((await dump()).dynamic('http')).toMatchObject({ active_state: {}, draining_state: {} });
    await using late = await rawClient({ port });
    await late.write(GET);
    expect((await late.readResponse()).body.toString()).toBe('two');
    // More and more often, so that at some time a response of the old version says so.
    await askUntilTold(busy, 'one');
    expect(await busy.readUntilClose()).toBe('');
    expect(await silent.readUntilClose()).toBe('');
    expect(await midway.readUntilClose()).toBe('');
    await proxy.untilStat('listener_manager.total_listeners_draining', 0);
    await late.write(GET);
    const response = await late.readResponse();
    expect([response.body.toString(), response.header('connection')]).toEqual(['two', undefined]);
    expect((await dump()).dynamic('http').draining_state).toBeUndefined();
  });

  test('an update to another address leaves the old one', async () => {
    await put(says1('moves', 'old'));
    const before = proxy.portOf('moves');
    const after = await freePort();
    await put(says1('moves', 'new', { address: localAddress(after) }));
    expect(await accepts(before)).toBe(false);
    expect([proxy.portOf('moves'), await exchange({ port: after })]).toEqual([after, 'new']);
    // The port that it was given for 0 is the same address.
    await put(says1('moves', 'newest', { address: localAddress(after) }));
    expect(await exchange({ port: after })).toBe('newest');
  });

  test('addresses come and go beside one that stays, where nobody is refused', async () => {
    const [first, second] = [await freePort(), await freePort()];
    const at = (text: string, ...ports: number[]) =>
      says1('many', text, {
        additional_addresses: ports.map((port) => ({ address: localAddress(port) })),
      });
    await put(at('0'));
    const port = proxy.portOf('many');
    const changes = async () => {
      await put(at('1', first));
      expect(await exchange({ port: first })).toBe('1');
      await put(at('2', second, first));
      expect(await exchange({ port: first })).toBe('2');
      expect(await exchange({ port: second })).toBe('2');
      await put(at('3', second));
      expect([await accepts(first), await exchange({ port: second })]).toEqual([false, '3']);
      // What was an additional address is the main one, and the other way round.
      await put({
        ...at('4', port),
        address: localAddress(second),
      });
      expect(await exchange({ port: second })).toBe('4');
      await put(says1('many', '5', { address: localAddress(port) }));
      expect(await accepts(second)).toBe(false);
    };
    const { failures } = await visit(port, changes());
    expect(failures).toEqual([]);
    expect(await exchange({ port: proxy.portOf('many') })).toBe('5');
  });

  test('an update that does not compile changes nothing, and is shown', async () => {
    await put(says1('wrong', 'right'));
    const broken = { ...says1('wrong', 'x'), filter_chains: [chainOf('nobody'), chainOf('nothing')] };
    const counts = counted(async () => {
      await expect(put(broken)).rejects.toThrow(
        /^filter_chains\[0\]\.filters\[0\].*nobody[\s\S]*^filter_chains\[1\]\.filters\[0\].*nothing/m,
      );
    });
    expect(await counts).toEqual({});
    expect(await exchange({ port: proxy.portOf('wrong') })).toBe('right');
    const { error_state, active_state } = (await dump()).dynamic('wrong');
    expect(error_state).toMatchObject({
      failed_configuration: { name: 'wrong', filter_chains: [{}, {}] },
      details: expect.stringContaining('nobody'),
    });
    expect(active_state.listener.filter_chains).toHaveLength(1);
    await put(says1('wrong', 'better'));
    expect(Object.keys((await dump()).dynamic('wrong'))).toEqual(['name', 'active_state', 'draining_state']);
    await expect(put({ name: 'new', filter_chains: [says('x')] })).rejects.toThrow(/^address: /);
    expect((await dump()).dynamic('new')).toMatchObject({ name: 'new', error_state: {} });
    await remove('new');
    expect((await dump()).dynamic('new')).toBeUndefined();
  });

  test('an update whose new address is taken: nobody at the old one notices', async () => {
    await using taken = await takenPort();
    await put(says1('stays', 'old'));
    const port = proxy.portOf('stays');
    const free = await freePort();
    const counts = counted(async () => {
      const failing = async () => {
        for (const addresses of [[taken.port], [port, taken.port], [free, taken.port]]) {
          const [address, ...more] = addresses.map((one) => localAddress(one));
          const update = says1('stays', 'new', {
            address,
            additional_addresses: more.map((one) => ({ address: one })),
          });
          const where = more.length === 0 ? 'address' : 'additional_addresses[0].address';
          const what = `cannot listen on 127.0.0.1:${taken.port}: Address already in use`;
          // A worker that is the only one finds out itself, and does not say which of the addresses it was.
          await expect(put(update)).rejects.toThrow(workers === 1 ? what : `${where}: ${what}`);
        }
      };
      expect((await visit(port, failing())).failures).toEqual([]);
    });
    expect(await counts).toEqual({ listener_create_failure: 3 });
    expect([await exchange({ port }), await accepts(free)]).toEqual(['old', false]);
    expect(proxy.portOf('stays')).toBe(port);
  });

  test('no two listeners share an address', async () => {
    await put(says1('first', 'x'));
    const port = proxy.portOf('first');
    await expect(put(says1('second', 'y', { address: localAddress(port) }))).rejects.toThrow(
      `address: listener "first" has 127.0.0.1:${port} already`,
    );
    const twice = { address: localAddress(port), additional_addresses: [{ address: localAddress(port) }] };
    await expect(put(says1('first', 'y', twice))).rejects.toThrow(
      `additional_addresses[0].address: listener "first" has 127.0.0.1:${port} already`,
    );
    expect(await exchange({ port })).toBe('x');
  });

  test('what a socket cannot change is refused', async () => {
    await put(says1('fixed', 'x'));
    await expect(put(says1('fixed', 'y', { enable_reuse_port: false }))).rejects.toThrow(
      'enable_reuse_port: cannot be changed while the listener is there',
    );
    const at = (more: JsonObject) => ({
      address: { socket_address: { address: '::', port_value: 0, ...more } },
    });
    await put(says1('both', 'x', at({ ipv4_compat: true })));
    expect(await exchange({ port: proxy.portOf('both') })).toBe('x');
    await expect(put(says1('both', 'y', at({})))).rejects.toThrow(
      'address.socket_address.ipv4_compat: cannot be changed while the listener is at this address',
    );
  });

  test('one socket for all workers is handed over too', async () => {
    await put(says1('single', '0', { enable_reuse_port: false }));
    const port = proxy.portOf('single');
    const updates = async () => {
      for (let i = 1; i <= 5; i++) await put(says1('single', `${i}`, { enable_reuse_port: false }));
    };
    expect((await visit(port, updates())).failures).toEqual([]);
    expect(await exchange({ port })).toBe('5');
    await remove('single');
    expect(await accepts(port)).toBe(false);
  });

  test('a Unix socket is handed over, with another mode', async () => {
    const path = join(folder, `${workers}.sock`);
    const at = (text: string, mode: number) => says1('pipe', text, { address: { pipe: { path, mode } } });
    await put(at('one', 0o600));
    await put(at('two', 0o660));
    expect([await exchange({ path }), statSync(path).mode & 0o777]).toEqual(['two', 0o660]);
    await remove('pipe');
    await expect(rawClient({ path })).rejects.toThrow(/ENOENT|ECONNREFUSED/);
  });

  test('the backlog changes with an update', async (context) => {
    try {
      execFileSync('ss', ['-ltnH']);
    } catch {
      context.skip('there is no ss');
    }
    const backlogs = () =>
      execFileSync('ss', ['-ltnH', `sport = ${proxy.portOf('backlog')}`], { encoding: 'utf8' })
        .trim()
        .split('\n')
        .map((line) => Number(line.split(/\s+/)[2]));
    await put(says1('backlog', 'x', { tcp_backlog_size: 17 }));
    expect(backlogs()).toEqual(Array(workers).fill(17));
    await put(says1('backlog', 'x', { tcp_backlog_size: 23 }));
    expect(backlogs()).toEqual(Array(workers).fill(23));
  });

  test('removal refuses new connections, drains the others, and ends them', async () => {
    await proxy.untilStat('listener_manager.total_listeners_draining', 0);
    await put(says1('goes', '', { filter_chains: [answers('x')] }));
    const port = proxy.portOf('goes');
    await using midway = await rawClient({ port });
    await using busy = await rawClient({ port });
    await busy.write(GET);
    await busy.readResponse();
    await midway.write('GET / HTTP/1.1\r\n');
    const counts = counted(async () => expect(await remove('goes')).toBe(true));
    expect(await counts).toEqual({ listener_removed: 1, total_listeners_active: -1 });
    expect([await accepts(port), stat('total_listeners_draining')]).toEqual([false, 1]);
    expect((await dump()).dynamic('goes')).toMatchObject({ draining_state: {} });
    expect(() => proxy.portOf('goes')).toThrow('there is no listener "goes"');
    await askUntilTold(busy, 'x');
    expect(await midway.readUntilClose()).toBe('');
    await proxy.untilStat('listener_manager.total_listeners_draining', 0);
    expect(await remove('goes')).toBe(false);
    await put(says1('goes', 'back', { address: localAddress(port) }));
    expect(await exchange({ port })).toBe('back');
  });

  test('one of the bootstrap can be replaced and removed; it is dynamic then', async () => {
    const port = proxy.portOf('static');
    await put(says1('static', 'dynamic'));
    expect([proxy.portOf('static'), await exchange({ port })]).toEqual([port, 'dynamic']);
    const { statics, dynamic } = await dump();
    expect([statics, dynamic('static')]).toEqual([
      [],
      expect.objectContaining({ active_state: expect.anything(), draining_state: expect.anything() }),
    ]);
    expect(await remove('static')).toBe(true);
    expect(await accepts(port)).toBe(false);
  });

  test('changes at once are done one after the other', async () => {
    const [a, b] = [await freePort(), await freePort()];
    const results = await Promise.all([
      put(says1('queue', '1', { address: localAddress(a) })),
      put(says1('queue', '2', { address: localAddress(b) })),
      put(says1('queue', '2', { address: localAddress(b) })),
      remove('queue'),
      put(says1('queue', '3', { address: localAddress(a) })),
      put({ ...says1('queue', '4'), transparent: true }).catch(() => 'refused'),
      put(says1('queue', '5', { address: localAddress(a) })),
    ]);
    expect(results).toEqual([true, true, false, true, true, 'refused', true]);
    expect([await exchange({ port: a }), await accepts(b)]).toEqual(['5', false]);
  });
});

describe.each(THREADS)('the end, %s', (_name, threads) => {
  test('listeners that were stopped stay so', async () => {
    const at = (direction: string, text: string) => says1(direction, text, { traffic_direction: direction });
    await using proxy = await start(
      {
        admin: { address: localAddress() },
        static_resources: { listeners: [at('INBOUND', 'x'), at('OUTBOUND', 'x')] },
      },
      { threads },
    );
    const put = (listener: JsonObject) => proxy.proxy.addOrUpdateListener(listenerOf(listener));
    const ports = ['INBOUND', 'OUTBOUND'].map((direction) => proxy.portOf(direction));
    await proxy.admin('/drain_listeners?inboundonly', 'POST');
    await proxy.untilStat('listener_manager.listener_stopped', 1);
    expect([await put(at('INBOUND', 'y')), await put(at('OUTBOUND', 'y'))]).toEqual([false, true]);
    expect([await accepts(ports[0] as number), await exchange({ port: ports[1] as number })]).toEqual([
      false,
      'y',
    ]);
    // Whatever has begun by then is done first, and stopped.
    const last = Promise.all([put(says1('new', 'z')), put(at('OUTBOUND', 'z'))]);
    await proxy.proxy.drain({ timeMs: 2000 });
    const answered = await last;
    expect([answered[1], await accepts(ports[1] as number)]).toEqual([false, false]);
    for (const { addresses } of proxy.proxy.listeners)
      expect(await accepts(addresses[0]?.port as number)).toBe(false);
    expect([await put(says1('newer', 'z')), await proxy.proxy.removeListener('INBOUND')]).toEqual([
      false,
      true,
    ]);
  });

  test('a change while the proxy closes leaves nothing behind', async () => {
    const leaks = trackLeaks();
    const turns = threads === 'inline' ? 12 : 2;
    for (let turn = 0; turn < turns; turn++) {
      const proxy = await start({ static_resources: { listeners: [says1('one', '0')] } }, { threads });
      const port = await freePort();
      const changes = [
        proxy.proxy.addOrUpdateListener(listenerOf(says1('one', '1'))),
        proxy.proxy.addOrUpdateListener(listenerOf(says1('two', '2', { address: localAddress(port) }))),
        proxy.proxy.removeListener('one'),
      ].map((change) => change.then(() => 'done').catch((error: Error) => error.message));
      // Later and later into the changes.
      for (let i = 0; i < turn; i++) await new Promise((resolve) => setImmediate(resolve));
      await proxy.close();
      for (const result of await Promise.all(changes))
        expect(result).toMatch(/^done$|^the proxy was closed$/);
      expect(await accepts(port)).toBe(false);
      await expect(proxy.proxy.addOrUpdateListener(listenerOf(says1('three', '3')))).rejects.toThrow(
        'the proxy was closed',
      );
      await expect(proxy.proxy.removeListener('one')).rejects.toThrow('the proxy was closed');
    }
    await leaks.expectNone();
  });
});

test('over the drain time of a replaced listener responses end their connections more and more often', async () => {
  const clock = new FakeClock();
  const version = (text: string) => says1('http', '', { filter_chains: [answers(text)] });
  const proxy = await start(
    { static_resources: { listeners: [version('one')] } },
    { clock, random: new SeededRandom(5), flags: { drainTimeMs: 100_000 } },
  );
  const { port } = proxy;
  const clients = await Promise.all(Array.from({ length: 80 }, () => rawClient({ port })));
  /** How many of the next 20 are told to close with the response to what is now complete. */
  const told = async (rest: string) => {
    let closes = 0;
    for (const client of clients.splice(0, 20)) {
      await client.write(rest);
      const response = await client.readResponse();
      expect(response.body.toString()).toBe('one');
      if (response.header('connection') === 'close') closes++;
      client.destroy();
    }
    return closes;
  };
  // A connection in the middle of a head is not idle: those would be told to go in the first quarter.
  for (const client of clients) await client.write('GET / HTTP/1.1\r\n');
  await proxy.untilStat('http.ingress.downstream_cx_active', 80);
  await proxy.proxy.addOrUpdateListener(listenerOf(version('two')));
  expect(proxy.stat('listener_manager.total_listeners_draining')).toBe(1);
  const closes = [await told('host: test\r\n\r\n')];
  for (const passing of [30_000, 40_000]) {
    clock.advance(passing);
    closes.push(await told('host: test\r\n\r\n'));
  }
  expect(closes[0]).toBe(0);
  expect(closes[1]).toBeGreaterThan(2);
  expect(closes[1]).toBeLessThan(12);
  expect(closes[2]).toBeGreaterThan(closes[1] as number);
  clock.advance(30_000);
  for (const client of clients) expect(await client.readUntilClose()).toBe('');
  await proxy.untilStat('listener_manager.total_listeners_draining', 0);
  await proxy.proxy.addOrUpdateListener(listenerOf(version('three')));
  await proxy.close();
  expect(clock.pendingTimers).toBe(0);
});

test('a bug in a filter of the new version does not stop the update', async () => {
  let made = 0;
  const faulty = networkFilter('faulty', true, () => {
    made++;
    throw new Error('bug');
  });
  await using proxy = await start(
    { static_resources: { listeners: [says1('one', 'fine')] } },
    { extensions: [...EXTENSIONS, faulty] },
  );
  await proxy.proxy.addOrUpdateListener(listenerOf(says1('one', '', { filter_chains: [chainOf('faulty')] })));
  await exchange({ port: proxy.port }).catch(() => {});
  await eventually(() => made === 1);
  await proxy.proxy.addOrUpdateListener(listenerOf(says1('one', 'fine again')));
  expect(await exchange({ port: proxy.port })).toBe('fine again');
});
