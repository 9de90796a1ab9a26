import { BindError, type SupervisorLink } from '@dragoman/supervisor';
import type { AcquiredSockets, ListenSockets, SocketRequest } from '../listener/listen-sockets.ts';
import type { SocketOrder } from '../worker/orders.ts';
import { Address, ConfigError } from '@dragoman/core';

/** Sockets that the supervisor holds: this process has them from the one before it and leaves them to the next. */
export class SuppliedSockets implements ListenSockets {
  private readonly supervisor: Pick<SupervisorLink, 'sockets' | 'release'>;
  /** How many listeners have sockets of a key: while one is replaced there are two. */
  private readonly holders = new Map<string, number>();

  constructor(supervisor: Pick<SupervisorLink, 'sockets' | 'release'>) {
    this.supervisor = supervisor;
  }

  async acquire({ key, target, reusePort, workers }: SocketRequest): Promise<AcquiredSockets> {
    const { address, ipv6Only, mode } = target;
    const pipe = address.family === 'pipe';
    const wanted = {
      key,
      address: pipe
        ? ({ family: 'pipe', path: address.path, mode } as const)
        : ({ family: address.family, ip: address.ip, port: address.port, ipv6Only } as const),
      count: workers,
      reusePort,
    };
    const { handles, address: bound } = await this.supervisor.sockets(wanted).catch(explained);
    this.holders.set(key, (this.holders.get(key) ?? 0) + 1);
    const text = bound.family === 'pipe' ? bound.path : Address.ip(bound.ip, bound.port).text;
    const orders = handles.map(
      ({ fd }): SocketOrder => ({ address: text, descriptor: fd, reusePort: false }),
    );
    return {
      address: text,
      orders: (index) => share(orders, index, workers, pipe),
      release: () => {
        for (const handle of handles) handle.close();
        this.release(key);
      },
    };
  }

  /** The supervisor counts a key once, however often it was asked for. */
  private release(key: string): void {
    const left = (this.holders.get(key) ?? 1) - 1;
    if (left > 0) {
      this.holders.set(key, left);
      return;
    }
    this.holders.delete(key);
    this.supervisor.release(key);
  }
}

/** What the supervisor itself has against a request nothing but its words can tell. */
function explained(error: unknown): never {
  if (!(error instanceof BindError) || error.code !== 'EINVAL') throw error;
  throw ConfigError.at('', error.message);
}

/**
 * Every socket has a worker that accepts on it: what waits in one that nobody looks at is lost. A worker for which there is none
 * of its own shares one, except of a Unix socket, which one worker serves.
 */
function share(orders: readonly SocketOrder[], index: number, workers: number, pipe: boolean): SocketOrder[] {
  const own = orders.filter((_, i) => i % workers === index);
  if (own.length > 0 || pipe) return own;
  const other = orders[index % orders.length];
  return other === undefined ? [] : [other];
}
