import { describe, expect, it } from 'vitest';
import type { ListenAddress, WantedSockets } from '../src/protocol.ts';
import { type InheritedSocket, SocketBook, type SocketBookOptions } from '../src/socket-book.ts';
import { FakeBinder } from './scene.ts';

const v4 = (port: number, ip = '127.0.0.1'): ListenAddress => ({ family: 'ipv4', ip, port, ipv6Only: false });
const v6 = (ip: string, ipv6Only: boolean): ListenAddress => ({ family: 'ipv6', ip, port: 80, ipv6Only });
const pipe = (path: string, mode?: number): ListenAddress => ({ family: 'pipe', path, mode });

function wanted(address: ListenAddress, count = 1, reusePort = true, key = 'a'): WantedSockets {
  return { key, address, count, reusePort };
}

function scene(options: Partial<SocketBookOptions> = {}) {
  const binder = new FakeBinder();
  const files: string[] = [];
  const book = new SocketBook({
    binder,
    inherited: [],
    removeStale: async (path) => void files.push(`remove ${path}`),
    chmod: (path, mode) => void files.push(`chmod ${path} ${mode.toString(8)}`),
    ...options,
  });
  return { binder, book, files, old: { name: 'old' }, next: { name: 'next' } };
}

describe('binding', () => {
  it('looks for a stranger without SO_REUSEPORT first', async () => {
    const { book, binder, old } = scene();
    const { sockets, address } = await book.request(old, wanted(v4(80), 2));
    expect(binder.made.map(({ name }) => name)).toEqual(['127.0.0.1:80', '127.0.0.1:80+', '127.0.0.1:80+']);
    expect(sockets).toEqual(binder.made.slice(1));
    expect(binder.made[0].open).toBe(false);
    expect(address).toEqual(v4(80));
  });

  it('refuses what a stranger has, and forgets the key', async () => {
    const { book, binder, old } = scene();
    binder.taken.add('127.0.0.1:80');
    await expect(book.request(old, wanted(v4(80)))).rejects.toMatchObject({ code: 'EADDRINUSE' });
    expect(book.keys).toEqual([]);
    binder.taken.clear();
    await book.request(old, wanted(v4(80)));
    expect(binder.open).toEqual(['127.0.0.1:80+']);
  });

  it('resolves port 0 once', async () => {
    const { book, old, next } = scene();
    const first = await book.request(old, wanted(v4(0), 2));
    expect(first.address).toEqual(v4(40_000));
    const second = await book.request(next, wanted(v4(0), 3));
    expect(second.address).toEqual(v4(40_000));
    expect(second.sockets.slice(0, 2)).toEqual(first.sockets);
    expect(second.sockets).toHaveLength(3);
  });

  it('hands out every socket to an epoch with fewer workers', async () => {
    const { book, binder, old, next } = scene();
    const two = await book.request(old, wanted(v4(80), 2));
    expect((await book.request(next, wanted(v4(80), 1))).sockets).toEqual(two.sockets);
    book.releaseAll(old);
    expect(binder.open).toHaveLength(2);
  });

  it.each([
    ['without SO_REUSEPORT', v4(80), ['127.0.0.1:80']],
    ['of a Unix socket', pipe('/run/x.sock'), ['/run/x.sock']],
  ])('makes one socket %s, and stays with it', async (_, address, open) => {
    const { book, binder, old, next } = scene();
    const first = await book.request(old, wanted(address, 4, false));
    const second = await book.request(next, wanted(address, 4, true));
    expect(second).toEqual(first);
    expect(binder.open).toEqual(open);
  });

  it('removes a stale socket file before, and sets the mode after', async () => {
    const { book, files, old } = scene();
    await book.request(old, wanted(pipe('/run/x.sock', 0o660)));
    await book.request(old, wanted(pipe('@abstract', 0o660), 1, false, 'b'));
    expect(files).toEqual(['remove /run/x.sock', 'chmod /run/x.sock 660']);
  });

  it('closes the socket when the mode cannot be set', async () => {
    const chmod = () => {
      throw Object.assign(new Error('EPERM: chmod /run/x.sock'), { code: 'EPERM' });
    };
    const { book, binder, old } = scene({ chmod });
    await expect(book.request(old, wanted(pipe('/run/x.sock', 0o660)))).rejects.toMatchObject({
      code: 'EPERM',
    });
    expect(binder.open).toEqual([]);
  });

  it('refuses one address under two keys, also as the port that 0 became', async () => {
    const { book, old } = scene();
    await book.request(old, wanted(v4(0)));
    await expect(book.request(old, wanted(v4(40_000), 1, true, 'b'))).rejects.toThrow(
      '127.0.0.1:40000 is held for "a", it cannot be for "b" too',
    );
  });

  it.each([
    ['0.0.0.0', '127.0.0.1'],
    ['127.0.0.1', '0.0.0.0'],
  ])('takes no socket of its own for a stranger: %s, then %s', async (first, second) => {
    const { book, binder, old, next } = scene();
    await book.request(old, wanted(v4(80, first)));
    // As the kernel has it once the old epoch listens.
    binder.taken.add(`${second}:80`);
    await book.request(next, wanted(v4(80, second), 1, true, 'b'));
    expect(binder.open).toEqual([`${first}:80+`, `${second}:80+`]);
  });

  it('two single addresses of one port do not overlap: a stranger is found', async () => {
    const { book, binder, old } = scene();
    await book.request(old, wanted(v4(80)));
    binder.taken.add('127.0.0.2:80');
    await expect(book.request(old, wanted(v4(80, '127.0.0.2'), 1, true, 'b'))).rejects.toMatchObject({
      code: 'EADDRINUSE',
    });
  });

  it.each([
    [v4(80), v4(81), 'for 127.0.0.1:80, not for 127.0.0.1:81'],
    [v4(80), pipe('/x'), 'for 127.0.0.1:80, not for /x'],
    [v6('::', true), v6('::', false), 'for [::]:80 without IPv4 (ipv4_compat)'],
  ])('refuses another address under a key: %j, then %j', async (first, second, text) => {
    const { book, binder, old, next } = scene();
    await book.request(old, wanted(first));
    const { open } = binder;
    await expect(book.request(next, wanted(second))).rejects.toThrow(text);
    expect(binder.open).toEqual(open);
  });

  it('knows an address however it is written', async () => {
    const { book, old, next } = scene();
    const first = await book.request(old, wanted(v6('::1', true)));
    expect((await book.request(next, wanted(v6('0:0::1', true)))).sockets).toEqual(first.sockets);
  });

  it('serves requests for one key in turn', async () => {
    const { book, binder, old, next } = scene();
    const both = await Promise.all([
      book.request(old, wanted(v4(0), 1)),
      book.request(next, wanted(v4(0), 2)),
    ]);
    expect(both.map(({ address }) => address)).toEqual([v4(40_000), v4(40_000)]);
    expect(binder.open).toHaveLength(2);
  });
});

describe('release', () => {
  it('closes with the last user', async () => {
    const { book, binder, old, next } = scene();
    await book.request(old, wanted(v4(80)));
    await book.request(next, wanted(v4(80)));
    book.release(old, 'a');
    book.release(old, 'a');
    book.release(old, 'unknown');
    expect(binder.open).toEqual(['127.0.0.1:80+']);
    book.release(next, 'a');
    expect(binder.open).toEqual([]);
    expect(book.keys).toEqual([]);
  });

  it('closes what a failed epoch has added: nobody else accepts on it', async () => {
    const { book, binder, old, next } = scene();
    await book.request(old, wanted(v4(80), 1));
    await book.request(next, wanted(v4(80), 2));
    expect(binder.open).toHaveLength(2);
    book.releaseAll(next);
    expect(binder.open).toHaveLength(1);
    expect((await book.request(next, wanted(v4(80), 2))).sockets).toHaveLength(2);
  });

  it('does not close what another waits for', async () => {
    const { book, binder, old, next } = scene();
    const first = await book.request(old, wanted(v4(0), 2));
    const waiting = book.request(next, wanted(v4(0), 2));
    book.releaseAll(old);
    expect((await waiting).sockets).toEqual(first.sockets);
    expect(binder.open).toHaveLength(2);
  });

  it('while a request waits cancels it', async () => {
    let removed: () => void = () => {};
    const { book, binder, old } = scene({
      removeStale: () => new Promise((resolve) => (removed = resolve)),
    });
    const waiting = book.request(old, wanted(pipe('/run/x.sock')));
    await Promise.resolve();
    book.releaseAll(old);
    removed();
    await expect(waiting).rejects.toMatchObject({ code: 'ECANCELED' });
    expect(binder.made).toEqual([]);
    expect(book.keys).toEqual([]);
  });

  it('keeps what an epoch has when its request for more fails', async () => {
    const { book, binder, old, next } = scene();
    await book.request(old, wanted(v4(80), 1));
    const { ip } = binder;
    let free = 1;
    binder.ip = (...asked) => {
      if (free-- === 0) throw new Error('EMFILE');
      return ip.apply(binder, asked);
    };
    await expect(book.request(old, wanted(v4(80), 3))).rejects.toThrow('EMFILE');
    expect(binder.open).toHaveLength(1);
    free = 1;
    await expect(book.request(next, wanted(v4(80), 3))).rejects.toThrow('EMFILE');
    expect(binder.open).toHaveLength(1);
    book.release(old, 'a');
    expect(binder.open).toEqual([]);
  });

  it('of everything at the end', async () => {
    const { book, binder, old, next } = scene();
    await book.request(old, wanted(v4(80), 2));
    await book.request(next, wanted(pipe('/run/x.sock'), 1, false, 'b'));
    book.close();
    expect(binder.open).toEqual([]);
  });
});

describe('sockets of systemd', () => {
  const inherited: InheritedSocket[] = [
    { fd: 3, address: { family: 'ipv4', ip: '0.0.0.0', port: 80 } },
    { fd: 4, address: { family: 'ipv6', ip: '::', port: 80 } },
    { fd: 5, address: { family: 'pipe', path: '/run/x.sock' } },
    { fd: 6, address: { family: 'ipv4', ip: '0.0.0.0', port: 81 } },
    { fd: 7, address: { family: 'ipv4', ip: '0.0.0.0', port: 81 } },
  ];

  it.each([
    ['a wildcard', v4(80, '0.0.0.0'), ['fd 3']],
    ['the IPv6 wildcard', v6('::', false), ['fd 4']],
    ['a Unix socket', pipe('/run/x.sock'), ['fd 5']],
    ['several sockets on one address', v4(81, '0.0.0.0'), ['fd 6', 'fd 7']],
    ['not for a part of a wildcard', v4(80), ['127.0.0.1:80+', '127.0.0.1:80+']],
  ])('are used for %s', async (_, address, names) => {
    const { book, binder, files, old } = scene({ inherited });
    const held = await book.request(old, wanted(address, 2));
    expect(held.sockets).toHaveLength(names.length);
    expect(held.address).toEqual(address);
    expect(binder.open).toEqual(names);
    expect(files).toEqual([]);
  });

  it('stay open without a user, for the next', async () => {
    const { book, binder, old, next } = scene({ inherited });
    const first = await book.request(old, wanted(pipe('/run/x.sock')));
    book.release(old, 'a');
    expect(binder.open).toEqual(['fd 5']);
    expect(await book.request(next, wanted(pipe('/run/x.sock')))).toEqual(first);
    expect(binder.made).toHaveLength(1);
    book.close();
    expect(binder.open).toEqual([]);
  });
});
