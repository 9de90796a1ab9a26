import { type Listener, TrafficDirection } from '@dragoman/api';
import { type Address, ConfigError } from '@dragoman/core';
import type { Hold } from '../dynamic/resource-book.ts';
import type { BindOrder, ListenerOrder, SocketOrder } from '../worker/orders.ts';
import { type BindTarget, readBindTarget } from './addresses.ts';
import type { AcquiredSockets } from './listen-sockets.ts';

/** A listener as main knows it. */
export interface RunningListener {
  readonly name: string;
  /** Where it stands in the config. */
  readonly path: string;
  readonly message: Listener;
  /** Ports resolved. The first is the main one. */
  readonly addresses: readonly Address[];
  /** Wall time in ms when it was put in place. */
  readonly updatedAt: number;
  /** Not of the bootstrap: added, or changed, while the proxy ran. */
  readonly dynamic: boolean;
  /** What a control plane calls this version; empty where there is none. */
  readonly version: string;
  /** What it names and has not come yet; undefined before the start. */
  readonly hold: Hold | undefined;
}

/** One version of a listener, on main, with the sockets that it has. */
export class ManagedListener implements RunningListener {
  readonly order: ListenerOrder;
  readonly targets: readonly BindTarget[];
  readonly updatedAt: number;
  readonly dynamic: boolean;
  readonly version: string;
  addresses: Address[];
  /** By target; undefined where it has none. */
  sockets: (AcquiredSockets | undefined)[] = [];
  /** What it names in place of holding it. Undefined before the start. */
  hold: Hold | undefined = undefined;
  /** Another change of its name came while it was warming. */
  dropped = false;
  /** Workers have been told to accept. One that begins later is told too. */
  accepting = false;

  constructor(order: ListenerOrder, updatedAt: number, dynamic: boolean, version = '') {
    this.order = order;
    this.targets = readTargets(order.message);
    this.updatedAt = updatedAt;
    this.dynamic = dynamic;
    this.version = version;
    this.addresses = this.targets.map(({ address }) => address);
  }

  get name(): string {
    return this.order.name;
  }

  get path(): string {
    return this.order.path;
  }

  get message(): Listener {
    return this.order.message;
  }

  get inbound(): boolean {
    return this.message.trafficDirection === TrafficDirection.INBOUND;
  }

  get binds(): boolean {
    return this.message.bindToPort ?? true;
  }

  get reusePort(): boolean {
    return this.message.enableReusePort ?? true;
  }

  /** Where a target stands in the config. */
  targetPath(index: number): string {
    const { path } = this.order;
    const own = index === 0 ? 'address' : `additional_addresses[${index - 1}].address`;
    return path === '' ? own : `${path}.${own}`;
  }

  bindOrder(workerIndex: number, takeOver?: number): BindOrder {
    const sockets = this.targets.map((_, i) => this.socketOrders(i, workerIndex));
    return { id: this.order.id, sockets, takeOver };
  }

  /** A worker that begins later binds the port that the kernel has chosen for the others. */
  private socketOrders(target: number, workerIndex: number): readonly SocketOrder[] {
    const orders = this.sockets[target]?.orders(workerIndex) ?? [];
    const bound = this.addresses[target];
    if (bound === undefined || bound.port === 0) return orders;
    return orders.map((order) => ({ ...order, address: bound.text }));
  }

  /** Takes the sockets of `previous` for those targets that `kept` names. */
  takeSockets(previous: ManagedListener, kept: readonly (number | undefined)[]): void {
    kept.forEach((from, i) => {
      if (from === undefined) return;
      this.sockets[i] = previous.sockets[from];
      this.addresses[i] = previous.addresses[from] as Address;
      previous.sockets[from] = undefined;
    });
  }

  release(): void {
    for (const socket of this.sockets) socket?.release();
    this.sockets = [];
    this.accepting = false;
  }
}

/** As far as they can be read: a worker says what is wrong with the others. */
function readTargets(message: Listener): BindTarget[] {
  return [message.address, ...message.additionalAddresses.map(({ address }) => address)].flatMap(
    (address) => {
      try {
        return [readBindTarget(address)];
      } catch (error) {
        if (error instanceof ConfigError) return [];
        throw error;
      }
    },
  );
}
