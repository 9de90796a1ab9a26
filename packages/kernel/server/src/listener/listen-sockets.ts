import { createServer } from 'node:net';
import { Address } from '@dragoman/core';
import { bindSocket, closeDescriptor, ffiAvailable, socketAddress } from '@dragoman/posix';
import type { SocketOrder } from '../worker/orders.ts';
import type { BindTarget } from './addresses.ts';

/** What main asks for, for one address of a listener. */
export interface SocketRequest {
  /** Stands for this address of this listener, in this process and in those that come after it. */
  readonly key: string;
  readonly target: BindTarget;
  /** `enable_reuse_port`: a socket for each worker, else one for all. */
  readonly reusePort: boolean;
  readonly workers: number;
}

/** The sockets of one address. */
export interface AcquiredSockets {
  /** The address with its port, where that is known before a worker has bound it. */
  readonly address: string;
  /** What the worker of this number is to accept on; nothing: others do. */
  orders(workerIndex: number): readonly SocketOrder[];
  /** Nobody accepts on them any more. */
  release(): void;
}

/** Where listening sockets come from. */
export interface ListenSockets {
  /** Rejects with a system error (`EADDRINUSE`, …) that names the address. */
  acquire(request: SocketRequest): Promise<AcquiredSockets>;
}

/**
 * Sockets of this process. Each worker binds its own with SO_REUSEPORT, so the kernel spreads connections. Main looks first: to
 * sockets with that option a foreign owner would not be found, and port 0 would be another port for each.
 */
export class OwnSockets implements ListenSockets {
  async acquire({ target, reusePort, workers }: SocketRequest): Promise<AcquiredSockets> {
    const { address } = target;
    if (address.family === 'pipe' || workers === 1) return own(address.text, false, 1);
    const { port, release } = await probe(target, reusePort);
    const { text } = Address.ip(address.ip, port);
    if (reusePort) return own(text, true, workers, release);
    // Without duplicates of a descriptor there is no way to share one socket: one worker accepts.
    if (!ffiAvailable()) return own(text, false, 1);
    const descriptor = bindSocket({ ip: address.ip, port, ipv6Only: target.ipv6Only, reusePort: false });
    return shared(text, descriptor, () => closeDescriptor(descriptor));
  }
}

/** Workers 0 … `count` - 1 bind sockets of their own. */
function own(
  address: string,
  reusePort: boolean,
  count: number,
  release: () => void = nothing,
): AcquiredSockets {
  return {
    address,
    orders: (index) => (index < count ? [{ address, descriptor: undefined, reusePort }] : []),
    release,
  };
}

function nothing(): void {}

/** All workers accept on duplicates of one socket. */
function shared(address: string, descriptor: number, release: () => void): AcquiredSockets {
  return { address, orders: () => [{ address, descriptor, reusePort: false }], release };
}

interface Probed {
  /** The one that the kernel chose for 0. */
  readonly port: number;
  release(): void;
}

/**
 * Binds for a moment as the only owner. A port that the kernel chose stays bound until `release` when it is to be `kept`: else it could
 * choose it for the next listener too before a worker has bound it, and with SO_REUSEPORT both would have it.
 */
async function probe({ address, ipv6Only }: BindTarget, kept: boolean): Promise<Probed> {
  // Node alone understands the scope of a link-local address (`fe80::1%eth0`).
  if (!ffiAvailable() || address.ip.includes('%')) {
    return { port: await probeListening({ address, ipv6Only }), release: nothing };
  }
  // Without listening: no client can connect to what nobody accepts on.
  const descriptor = bindSocket({ ip: address.ip, port: address.port, ipv6Only });
  let held = false;
  try {
    const bound = socketAddress(descriptor);
    held = kept && address.port === 0;
    const release = held ? () => closeDescriptor(descriptor) : nothing;
    return { port: bound.family === 'pipe' ? address.port : bound.port, release };
  } finally {
    if (!held) closeDescriptor(descriptor);
  }
}

async function probeListening({ address, ipv6Only }: Omit<BindTarget, 'mode'>): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(
      { host: address.ip, port: address.port, ipv6Only: address.family === 'ipv6' && ipv6Only },
      resolve,
    );
  });
  const bound = server.address();
  await new Promise((resolve) => server.close(resolve));
  return bound !== null && typeof bound === 'object' ? bound.port : address.port;
}

/** A socket that systemd has bound, or whoever else starts this process with `LISTEN_FDS`. */
export interface InheritedSocket {
  readonly descriptor: number;
  /** Text of its address. */
  readonly address: string;
}

/** Inherited sockets where one has the very address, else those of `others`. */
export class InheritedSockets implements ListenSockets {
  private readonly inherited: readonly InheritedSocket[];
  private readonly others: ListenSockets;
  private readonly wanted = new Set<string>();

  constructor(inherited: readonly InheritedSocket[], others: ListenSockets) {
    this.inherited = inherited;
    this.others = others;
  }

  /** Addresses that no listener has asked for: whoever connects there waits in vain. */
  get unused(): readonly string[] {
    const addresses = new Set(this.inherited.map(({ address }) => address));
    return [...addresses].filter((address) => !this.wanted.has(address));
  }

  async acquire(request: SocketRequest): Promise<AcquiredSockets> {
    const { address } = request.target;
    const found = this.inherited.filter((socket) => socket.address === address.text);
    if (found.length === 0) return this.others.acquire(request);
    this.wanted.add(address.text);
    const orders = found.map(
      ({ descriptor }): SocketOrder => ({ address: address.text, descriptor, reusePort: false }),
    );
    // All workers accept on all of them. They stay open: whoever passed them on listens again with the same ones.
    return { address: address.text, orders: () => orders, release() {} };
  }
}
