import { Address, ConfigError } from '@dragoman/core';
import { BindError, type BoundSocket, type WantedSockets } from '@dragoman/supervisor';
import { describe, expect, it } from 'vitest';
import { SuppliedSockets } from '../src/hot-restart/supplied-sockets.ts';
import { InheritedSockets, type SocketRequest } from '../src/listener/listen-sockets.ts';

/** A supervisor that has `count` sockets of whatever it is asked for, on port 8080. */
class FakeSupervisor {
  readonly asked: WantedSockets[] = [];
  readonly released: string[] = [];
  readonly open = new Set<number>();
  failure: Error | undefined = undefined;
  private readonly count: number;
  private lastFd = 9;

  constructor(count: number) {
    this.count = count;
  }

  async sockets(wanted: WantedSockets) {
    this.asked.push(wanted);
    if (this.failure !== undefined) throw this.failure;
    const handles = Array.from({ length: this.count }, () => this.handle());
    const { address } = wanted;
    return { handles, address: address.family === 'pipe' ? address : { ...address, port: 8080 } };
  }

  release(key: string): void {
    this.released.push(key);
  }

  private handle(): BoundSocket {
    const fd = ++this.lastFd;
    this.open.add(fd);
    return { fd, close: () => this.open.delete(fd) };
  }
}

const request = (workers: number, where = Address.ipv4('127.0.0.1', 0), key = 'a'): SocketRequest => ({
  key,
  target: { address: where, ipv6Only: false, mode: where.family === 'pipe' ? 0o600 : undefined },
  reusePort: true,
  workers,
});

/** Numbers of descriptors, by worker; the first is 10. */
async function shares(sockets: number, workers: number, where?: Address): Promise<number[][]> {
  const acquired = await new SuppliedSockets(new FakeSupervisor(sockets)).acquire(request(workers, where));
  return Array.from({ length: workers }, (_, index) =>
    acquired.orders(index).map(({ descriptor }) => descriptor ?? -1),
  );
}

it('asks for one socket for each worker, and knows the port afterwards', async () => {
  const supervisor = new FakeSupervisor(2);
  const acquired = await new SuppliedSockets(supervisor).acquire(request(2));
  expect(supervisor.asked).toEqual([
    {
      key: 'a',
      address: { family: 'ipv4', ip: '127.0.0.1', port: 0, ipv6Only: false },
      count: 2,
      reusePort: true,
    },
  ]);
  expect(acquired.address).toBe('127.0.0.1:8080');
  expect(acquired.orders(1)).toEqual([{ address: '127.0.0.1:8080', descriptor: 11, reusePort: false }]);
});

describe('each socket has a worker, and each worker one', () => {
  it.each([
    ['as many', 2, 2, [[10], [11]]],
    [
      'more sockets',
      4,
      2,
      [
        [10, 12],
        [11, 13],
      ],
    ],
    ['more sockets, unevenly', 3, 2, [[10, 12], [11]]],
    ['one worker', 3, 1, [[10, 11, 12]]],
    ['one socket', 1, 3, [[10], [10], [10]]],
    ['fewer sockets', 2, 3, [[10], [11], [10]]],
  ])('%s', async (_, sockets, workers, expected) => {
    expect(await shares(sockets, workers)).toEqual(expected);
  });

  it('but one of a Unix socket', async () => {
    const pipe = Address.pipe('/run/a.sock');
    expect(await shares(1, 3, pipe)).toEqual([[10], [], []]);
    const supervisor = new FakeSupervisor(1);
    const acquired = await new SuppliedSockets(supervisor).acquire(request(3, pipe));
    expect(acquired.address).toBe('/run/a.sock');
    expect(supervisor.asked[0]?.address).toEqual({ family: 'pipe', path: '/run/a.sock', mode: 0o600 });
  });
});

it('gives a key back with the last that has sockets of it', async () => {
  const supervisor = new FakeSupervisor(2);
  const sockets = new SuppliedSockets(supervisor);
  const first = await sockets.acquire(request(2));
  const second = await sockets.acquire(request(2));
  const other = await sockets.acquire(request(2, undefined, 'b'));
  first.release();
  expect(supervisor.released).toEqual([]);
  expect([...supervisor.open]).toEqual([12, 13, 14, 15]);
  second.release();
  expect(supervisor.released).toEqual(['a']);
  other.release();
  expect(supervisor.released).toEqual(['a', 'b']);
  expect(supervisor.open.size).toBe(0);
  (await sockets.acquire(request(2))).release();
  expect(supervisor.released).toEqual(['a', 'b', 'a']);
});

describe('a failure', () => {
  it('of the system is the system’s', async () => {
    const supervisor = new FakeSupervisor(1);
    supervisor.failure = new BindError('EADDRINUSE', 'cannot bind');
    const sockets = new SuppliedSockets(supervisor);
    await expect(sockets.acquire(request(1))).rejects.toBe(supervisor.failure);
    // What was not had is not held.
    supervisor.failure = undefined;
    (await sockets.acquire(request(1))).release();
    expect(supervisor.released).toEqual(['a']);
  });

  it('of the supervisor has its words', async () => {
    const supervisor = new FakeSupervisor(1);
    supervisor.failure = new BindError('EINVAL', '127.0.0.1:80 is held for "b"');
    const failing = new SuppliedSockets(supervisor).acquire(request(1));
    await expect(failing).rejects.toThrow(ConfigError);
    await expect(failing).rejects.toThrow(/^127\.0\.0\.1:80 is held for "b"$/);
  });
});

it('sockets that the process was started with are for the very same address, all of them for every worker', async () => {
  const supervisor = new FakeSupervisor(1);
  const at = (descriptor: number, address: string) => ({ descriptor, address });
  const sockets = new InheritedSockets(
    [at(3, '127.0.0.1:80'), at(4, '127.0.0.1:80'), at(5, '[::1]:80'), at(6, '/run/x.sock')],
    new SuppliedSockets(supervisor),
  );
  const descriptors = async (address: Address) => {
    const acquired = await sockets.acquire(request(2, address));
    return [0, 1].map((index) => acquired.orders(index).map(({ descriptor }) => descriptor));
  };
  expect(await descriptors(Address.ipv4('127.0.0.1', 80))).toEqual([
    [3, 4],
    [3, 4],
  ]);
  expect(supervisor.asked).toEqual([]);
  expect(sockets.unused).toEqual(['[::1]:80', '/run/x.sock']);
  expect(await descriptors(Address.ip('::1', 80))).toEqual([[5], [5]]);
  await descriptors(Address.ipv4('0.0.0.0', 80));
  expect(supervisor.asked).toHaveLength(1);
  expect(sockets.unused).toEqual(['/run/x.sock']);
});
