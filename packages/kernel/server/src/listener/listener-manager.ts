import { equals, type Listener, ListenerSchema, TrafficDirection } from '@dragoman/api';
import {
  Address,
  type Clock,
  ConfigError,
  type Logger,
  ProblemCollector,
  type RandomSource,
  type Timer,
} from '@dragoman/core';
import type { ServerStats } from '../server-stats.ts';
import type { BindOrder, ListenerOrder } from '../worker/orders.ts';
import type { Ledger } from '../workers/ledger.ts';
import type { Workers } from '../workers/workers.ts';
import { type BindTarget, readBindTarget } from './addresses.ts';
import { bindFailure } from './bind-failure.ts';
import type { AcquiredSockets, ListenSockets } from './listen-sockets.ts';

export interface ListenerManagerOptions {
  readonly workers: Workers;
  readonly sockets: ListenSockets;
  /** Undefined with a worker on this thread. */
  readonly ledger: Ledger | undefined;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly stats: ServerStats;
  readonly logger: Logger;
  /** `--drain-time-s`, ms: how long the connections of a listener that is removed or replaced have. */
  readonly drainTimeMs: number;
}

/** A listener that is running, on main. */
export interface RunningListener {
  readonly name: string;
  readonly message: Listener;
  /** Ports resolved. The first is the main one. */
  readonly addresses: readonly Address[];
  /** Wall time in ms when it was put in place. */
  readonly updatedAt: number;
}

class Managed implements RunningListener {
  readonly order: ListenerOrder;
  readonly targets: readonly BindTarget[];
  readonly updatedAt: number;
  addresses: readonly Address[];
  sockets: readonly AcquiredSockets[] = [];
  accepting = false;

  constructor(order: ListenerOrder, updatedAt: number) {
    this.order = order;
    this.targets = readTargets(order.message);
    this.updatedAt = updatedAt;
    this.addresses = this.targets.map(({ address }) => address);
  }

  get name(): string {
    return this.order.name;
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

  /** Accepts at the same places in the same way, so that sockets can go from one to the other. */
  sameSockets(other: Managed): boolean {
    return (
      this.binds === other.binds &&
      this.reusePort === other.reusePort &&
      this.message.tcpBacklogSize === other.message.tcpBacklogSize &&
      this.targets.length === other.targets.length &&
      this.targets.every(({ address, ipv6Only, mode }, i) => {
        const target = other.targets[i] as BindTarget;
        return address.equals(target.address) && ipv6Only === target.ipv6Only && mode === target.mode;
      })
    );
  }

  bindOrder(workerIndex: number, takeOver?: number): BindOrder {
    const { id } = this.order;
    return { id, sockets: this.sockets.map((socket) => socket.orders(workerIndex)), takeOver };
  }

  release(): void {
    for (const socket of this.sockets) socket.release();
    this.sockets = [];
    this.accepting = false;
  }
}

/** The listeners of a proxy, on main: where their sockets come from, and what each worker is told of them. */
export class ListenerManager {
  private readonly options: ListenerManagerOptions;
  private running: Managed[];
  private readonly draining = new Map<Managed, Timer>();
  private lastId = 0;
  /** Changes come one after the other. */
  private turn: Promise<unknown> = Promise.resolve();

  /** @param listeners of the bootstrap; what is wrong with them is found by the workers that compile them */
  constructor(listeners: readonly Listener[], options: ListenerManagerOptions) {
    this.options = options;
    this.running = listeners.map((message, i) => this.manage(message, `static_resources.listeners[${i}]`));
  }

  get listeners(): readonly RunningListener[] {
    return this.running;
  }

  /** For workers that begin. */
  get orders(): readonly ListenerOrder[] {
    return this.running.map(({ order }) => order);
  }

  bindOrders(workerIndex: number): readonly BindOrder[] {
    return this.running
      .filter(({ accepting }) => accepting)
      .map((listener) => listener.bindOrder(workerIndex));
  }

  /**
   * Binds all of them. Rejects with ConfigError that says which addresses could not be had, and why; nothing is bound then.
   */
  async listen(): Promise<void> {
    const { stats, logger } = this.options;
    try {
      await this.bind(this.running);
    } catch (error) {
      stats.listenerCreateFailure.inc();
      throw error;
    }
    for (const listener of this.running) {
      stats.listenerAdded.inc();
      stats.listenerCreateSuccess.inc();
      stats.listenersActive.inc();
      logger.info(`listener '${listener.name}' serves on ${textOf(listener)}`);
    }
  }

  /**
   * Adds a listener, or puts it in place of one of the same name: that one's connections are drained and, after the drain time, closed. At the same
   * addresses it takes over the sockets, so that no connection is refused.
   *
   * @returns false when it is the same already. Rejects with ConfigError; the old one goes on then
   */
  addOrUpdate(message: Listener): Promise<boolean> {
    return this.inTurn(() => this.addOrUpdateNow(message));
  }

  /** Stops a listener, drains its connections and closes them after the drain time. @returns whether there was one */
  remove(name: string): Promise<boolean> {
    return this.inTurn(async () => {
      const listener = this.running.find((one) => one.name === name);
      if (listener === undefined) return false;
      this.running = this.running.filter((one) => one !== listener);
      const { workers, stats, logger } = this.options;
      const wasAccepting = listener.accepting;
      await workers.stopAccepting([listener.order.id]);
      listener.release();
      stats.listenerRemoved.inc();
      if (wasAccepting) stats.listenersActive.dec();
      this.drain(listener);
      logger.info(`listener '${name}' was removed`);
      return true;
    });
  }

  /**
   * Stops accepting. @param inboundOnly only listeners whose `traffic_direction` is INBOUND
   * @returns how many accepted until now
   */
  async stop(inboundOnly = false): Promise<number> {
    const chosen = this.running.filter(({ accepting, inbound }) => accepting && (!inboundOnly || inbound));
    if (chosen.length === 0) return 0;
    for (const listener of chosen) listener.accepting = false;
    await this.options.workers.stopAccepting(chosen.map(({ order }) => order.id));
    for (const listener of chosen) listener.release();
    return chosen.length;
  }

  close(): void {
    for (const timer of this.draining.values()) timer.disable();
    this.draining.clear();
    for (const listener of this.running) listener.release();
  }

  private async addOrUpdateNow(message: Listener): Promise<boolean> {
    const { workers, stats, logger } = this.options;
    const before = message.name === '' ? undefined : this.running.find(({ name }) => name === message.name);
    if (before !== undefined && equals(ListenerSchema, before.message, message)) return false;
    const listener = this.manage(message, '');
    stats.listenersWarming.inc();
    try {
      await workers.prepareListener(listener.order);
      if (before?.accepting === true && before.sameSockets(listener)) {
        listener.sockets = before.sockets;
        listener.addresses = before.addresses;
        await workers.listen((index) => [listener.bindOrder(index, before.order.id)]);
        before.sockets = [];
        listener.accepting = true;
      } else {
        // First the old ones: a socket that another one of this listener holds cannot be had twice.
        if (before !== undefined) await workers.stopAccepting([before.order.id]);
        await this.bind([listener], before);
        before?.release();
      }
    } catch (error) {
      stats.listenerCreateFailure.inc();
      await workers.removeListener(listener.order.id);
      throw error;
    } finally {
      stats.listenersWarming.dec();
    }
    stats.listenerCreateSuccess.inc();
    if (before === undefined) {
      this.running = [...this.running, listener];
      stats.listenerAdded.inc();
      stats.listenersActive.inc();
    } else {
      this.running = this.running.map((one) => (one === before ? listener : one));
      stats.listenerModified.inc();
      this.drain(before);
    }
    logger.info(`listener '${listener.name}' serves on ${textOf(listener)}`);
    return true;
  }

  /** @param before stopped for `listeners`; it accepts again when they cannot be bound */
  private async bind(listeners: readonly Managed[], before?: Managed): Promise<void> {
    try {
      await this.acquire(listeners);
      const bound = await this.options.workers.listen((index) =>
        listeners.map((listener) => listener.bindOrder(index)),
      );
      listeners.forEach((listener, i) => {
        listener.accepting = true;
        listener.addresses = addressesOf(listener, bound[i] ?? []);
      });
    } catch (error) {
      await this.options.workers.stopAccepting(listeners.map(({ order }) => order.id));
      for (const listener of listeners) listener.release();
      if (before?.accepting === true)
        await this.options.workers.listen((index) => [before.bindOrder(index)]).catch(() => {});
      throw error;
    }
  }

  private async acquire(listeners: readonly Managed[]): Promise<void> {
    const problems = new ProblemCollector();
    await Promise.all(
      listeners.map(async (listener) => {
        if (!listener.binds) return;
        const results = await Promise.allSettled(
          listener.targets.map((target, i) =>
            this.options.sockets.acquire({
              key: socketKey(listener, target, i),
              target,
              reusePort: listener.reusePort,
              workers: this.options.workers.count,
            }),
          ),
        );
        listener.sockets = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
        results.forEach((result, i) => {
          if (result.status === 'fulfilled') return;
          const text = bindFailure([listener.targets[i] as BindTarget], result.reason);
          problems.add(listener.order.path === '' ? 'address' : `${listener.order.path}.address`, text);
        });
      }),
    );
    problems.throwIfAny();
  }

  /** Its connections have the drain time to end by themselves. */
  private drain(listener: Managed): void {
    const { workers, clock, stats, drainTimeMs } = this.options;
    const { id } = listener.order;
    workers.drainListener(id, drainTimeMs);
    stats.listenersDraining.inc();
    const timer = clock.timer(() => {
      this.draining.delete(listener);
      stats.listenersDraining.dec();
      workers.removeListener(id).catch((error: unknown) => {
        this.options.logger.error(`listener '${listener.name}' could not be ended: ${String(error)}`);
      });
    });
    this.draining.set(listener, timer);
    timer.enable(drainTimeMs);
  }

  private manage(message: Listener, path: string): Managed {
    const { ledger, random, clock } = this.options;
    // Envoy names a listener without a name likewise: it stands in /listeners and in runtime keys.
    const name = message.name === '' ? random.uuid() : message.name;
    const connections = ledger?.listenerConnections();
    return new Managed({ id: ++this.lastId, name, message, path, connections }, clock.wallTime());
  }

  private inTurn<T>(change: () => Promise<T>): Promise<T> {
    const result = this.turn.then(change);
    this.turn = result.catch(() => {});
    return result;
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

/** What a worker has bound goes before what main knew: it knows the port that the kernel chose. */
function addressesOf({ sockets, targets }: Managed, bound: readonly string[]): Address[] {
  return targets.map(({ address }, i) => {
    const known = sockets[i] === undefined ? address : (Address.parse(sockets[i].address) ?? address);
    const told = bound[i] === undefined ? undefined : Address.parse(bound[i]);
    return known.port === 0 && told !== undefined ? told : known;
  });
}

/** A fixed port is the same socket whatever the listener is called; port 0 is this listener's own. */
function socketKey({ message, order }: Managed, { address }: BindTarget, index: number): string {
  return address.family === 'pipe' || address.port !== 0
    ? address.text
    : `${address.text} of ${message.name || order.path || order.name} (${index})`;
}

function textOf({ addresses }: RunningListener): string {
  return addresses.map(({ text }) => text).join(', ');
}
