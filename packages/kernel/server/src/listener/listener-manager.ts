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
import type { Hold } from '../dynamic/resource-book.ts';
import { Failures } from '../failures.ts';
import type { ServerStats } from '../server-stats.ts';
import { Turns } from '../turns.ts';
import type { ListenerOrder } from '../worker/orders.ts';
import type { Ledger } from '../workers/ledger.ts';
import type { Workers } from '../workers/workers.ts';
import { type BindTarget, keptTargets } from './addresses.ts';
import { bindFailure } from './bind-failure.ts';
import { checkAddresses, checkUpdate } from './listener-checks.ts';
import type { ListenSockets } from './listen-sockets.ts';
import { ManagedListener, type RunningListener } from './managed-listener.ts';

export type { RunningListener } from './managed-listener.ts';

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
  /** False: nothing is bound (`--mode init_only`). */
  readonly serves: boolean;
  /** Takes hold of what a listener names in place of holding it. @throws ConfigError */
  hold(message: Listener): Hold;
}

/** The listeners of a proxy, on main: where their sockets come from, and what each worker is told of them. */
export class ListenerManager {
  private readonly options: ListenerManagerOptions;
  private running: readonly ManagedListener[];
  /** Compiled on the workers, and waiting for what they name or for their sockets; one of each name. */
  private readonly pending = new Set<ManagedListener>();
  private readonly timers = new Map<ManagedListener, Timer>();
  private lastId = 0;
  private stopped: 'none' | 'inbound' | 'all' = 'none';
  private closed = false;
  /** The last change of each name, where it failed. */
  readonly failures: Failures<Listener> = new Failures();
  private readonly turns = new Turns();

  /** @param listeners of the bootstrap; what is wrong with them is found by the workers that compile them */
  constructor(listeners: readonly Listener[], options: ListenerManagerOptions) {
    this.options = options;
    this.running = listeners.map((message, i) =>
      this.manage(message, `static_resources.listeners[${i}]`, false),
    );
  }

  get listeners(): readonly RunningListener[] {
    return this.running;
  }

  get warming(): readonly RunningListener[] {
    return [...this.pending];
  }

  /** Not of the bootstrap, or not there. */
  isStatic(name: string): boolean {
    return this.running.some((one) => one.name === name && !one.dynamic);
  }

  /** Replaced or removed, and not over yet. */
  get draining(): readonly RunningListener[] {
    return [...this.timers.keys()];
  }

  /** What workers begin with. */
  get orders(): readonly ListenerOrder[] {
    return this.running.map(({ order }) => order);
  }

  /**
   * Binds all of those of the bootstrap. Rejects with ConfigError that says which addresses could not be had, and why; nothing is bound then.
   */
  listen(): Promise<void> {
    return this.turns.take(async () => {
      this.throwIfClosed();
      const { stats, logger, workers } = this.options;
      checkAddresses(this.running);
      // Those of a control plane may have come before.
      const waiting = this.running.filter(({ accepting }) => !accepting);
      await this.bind(waiting);
      for (const listener of waiting) {
        stats.listenerAdded.inc();
        stats.listenerCreateSuccess.add(workers.count);
        logger.info(`listener '${listener.name}' serves on ${textOf(listener)}`);
      }
      this.showActive();
    });
  }

  /**
   * Adds a listener, or puts it in place of one of the same name: that one's connections are drained and, after the drain time, closed. At
   * addresses that both have it takes over the sockets, so that no connection is refused.
   *
   * @returns false when it is the same already, a later change of the name came first, or listeners of its direction were stopped for good. Rejects
   * with ConfigError; the old one goes on then
   */
  async addOrUpdate(message: Listener): Promise<boolean> {
    return (await this.begin(message)).done;
  }

  /**
   * {@link addOrUpdate} in two steps for one that names what has not come yet: resolves when the workers have compiled it, and `done` when it serves.
   * Rejects with ConfigError, and so does `done` when it cannot be bound.
   */
  begin(message: Listener, version = ''): Promise<{ readonly done: Promise<boolean> }> {
    return this.turns.take(async () => {
      const listener = await this.prepare(message, version);
      if (listener === undefined) return { done: Promise.resolve(false) };
      if (listener.hold?.waits !== true) return { done: Promise.resolve(await this.put(listener)) };
      const done = this.finish(listener);
      done.catch(() => {});
      return { done };
    });
  }

  /** Has the workers compile a listener and forget it. Rejects with ConfigError for what would be refused before it is bound. */
  check(message: Listener): Promise<void> {
    return this.turns.take(async () => {
      this.throwIfClosed();
      const listener = this.manage(message, '', true);
      try {
        this.checkPlace(listener, this.named(message.name));
        await this.options.workers.prepareListener(listener.order);
      } finally {
        await this.forget(listener);
      }
    });
  }

  /** Those that wait by now serve, or failed. Never rejects. */
  async settled(): Promise<void> {
    await Promise.all([...this.pending].map(({ hold }) => hold?.ready));
    await this.turns.settled();
  }

  /** Subscribes to what the listeners of the bootstrap name. Resolves when it has come. @throws ConfigError */
  holdAll(): Promise<unknown> {
    const held: Promise<void>[] = [];
    const problems = new ProblemCollector();
    for (const listener of this.running) {
      listener.hold ??= problems.try(listener.path, () => this.options.hold(listener.message));
      if (listener.hold !== undefined) held.push(listener.hold.ready);
    }
    problems.throwIfAny();
    return Promise.all(held);
  }

  /** Stops a listener, drains its connections and closes them after the drain time. @returns whether there was one */
  remove(name: string): Promise<boolean> {
    return this.turns.take(async () => {
      this.throwIfClosed();
      this.failures.forget(name);
      const waited = await this.dropPending(name);
      const listener = this.running.find((one) => one.name === name);
      if (listener === undefined) return waited;
      const { stats, logger } = this.options;
      this.running = this.running.filter((one) => one !== listener);
      stats.listenerRemoved.inc();
      this.showActive();
      await this.stopAccepting([listener]);
      this.drain(listener);
      logger.info(`listener '${name}' was removed`);
      return true;
    });
  }

  /**
   * Stops accepting, for good: what comes later is not put in place. A change that has begun is stopped when it is done.
   *
   * @param inboundOnly only listeners whose `traffic_direction` is INBOUND
   */
  stop(inboundOnly = false): Promise<void> {
    if (this.stopped !== 'all') this.stopped = inboundOnly ? 'inbound' : 'all';
    return this.turns.take(async () => {
      if (this.closed) return;
      const chosen = this.running.filter(({ accepting, inbound }) => accepting && (!inboundOnly || inbound));
      await this.stopAccepting(chosen);
      this.options.stats.listenerStopped.add(chosen.length);
    });
  }

  /** Gives up the sockets; a change under way fails. Resolves when that is done: workers that do not answer have to be closed meanwhile. */
  close(): Promise<void> {
    this.closed = true;
    for (const timer of this.timers.values()) timer.disable();
    this.timers.clear();
    return this.turns.settled().then(() => {
      for (const listener of this.running) listener.release();
    });
  }

  /** Has the workers compile it. Undefined: there is nothing to do. */
  private async prepare(message: Listener, version: string): Promise<ManagedListener | undefined> {
    this.throwIfClosed();
    const { workers, logger, hold } = this.options;
    if (this.isStopped(message)) {
      logger.debug(`listener '${message.name}' is not put in place: listeners were stopped`);
      return undefined;
    }
    const waiting = [...this.pending].find(({ name }) => name === message.name);
    if (waiting !== undefined && equals(ListenerSchema, waiting.message, message)) return undefined;
    const before = this.named(message.name);
    if (before !== undefined && equals(ListenerSchema, before.message, message)) {
      this.failures.forget(before.name);
      await this.dropPending(before.name);
      return undefined;
    }
    const listener = this.manage(message, '', true, version);
    try {
      this.checkPlace(listener, before);
      await workers.prepareListener(listener.order);
      this.throwIfClosed();
      listener.hold = hold(message);
    } catch (error) {
      this.noteFailure(listener, error);
      await this.forget(listener);
      throw error;
    }
    await this.dropPending(listener.name);
    this.pending.add(listener);
    this.showWarming();
    return listener;
  }

  private async finish(listener: ManagedListener): Promise<boolean> {
    await listener.hold?.ready;
    return this.turns.take(() => this.put(listener));
  }

  private async put(listener: ManagedListener): Promise<boolean> {
    if (listener.dropped) return false;
    const { workers, stats, logger } = this.options;
    if (this.isStopped(listener.message)) {
      logger.debug(`listener '${listener.name}' is not put in place: listeners were stopped`);
      await this.dropPending(listener.name);
      return false;
    }
    let before: ManagedListener | undefined;
    let kept: readonly (number | undefined)[] = [];
    try {
      this.throwIfClosed();
      before = this.named(listener.message.name);
      kept = this.checkPlace(listener, before);
      // What both have is the old one's until nothing can go wrong any more.
      if (this.options.serves) await this.bind([listener], kept);
    } catch (error) {
      this.noteFailure(listener, error);
      await this.forget(listener);
      throw error;
    } finally {
      this.pending.delete(listener);
      this.showWarming();
    }
    this.failures.forget(listener.name);
    stats.listenerCreateSuccess.add(workers.count);
    if (before === undefined) {
      this.running = [...this.running, listener];
      stats.listenerAdded.inc();
    } else {
      await this.replace(before, listener, kept);
      stats.listenerModified.inc();
    }
    this.showActive();
    logger.info(`listener '${listener.name}' serves on ${textOf(listener)}`);
    return true;
  }

  private named(name: string): ManagedListener | undefined {
    return name === '' ? undefined : this.running.find((one) => one.name === name);
  }

  /** @returns what it keeps of the sockets of the version before. @throws ConfigError */
  private checkPlace(
    listener: ManagedListener,
    before: ManagedListener | undefined,
  ): readonly (number | undefined)[] {
    const kept = this.keptSockets(listener, before);
    checkAddresses([listener, ...this.running.filter((one) => one !== before)]);
    if (before !== undefined) checkUpdate(listener, before, kept);
    return kept;
  }

  /** @returns whether there was one that waited */
  private async dropPending(name: string): Promise<boolean> {
    const waiting = [...this.pending].find((one) => one.name === name);
    if (waiting === undefined) return false;
    waiting.dropped = true;
    this.pending.delete(waiting);
    this.showWarming();
    await this.forget(waiting);
    return true;
  }

  private showWarming(): void {
    this.options.stats.listenersWarming.set(this.pending.size);
  }

  private async replace(
    before: ManagedListener,
    listener: ManagedListener,
    kept: readonly (number | undefined)[],
  ): Promise<void> {
    const { workers } = this.options;
    this.running = this.running.map((one) => (one === before ? listener : one));
    listener.takeSockets(before, kept);
    try {
      if (kept.some((from) => from !== undefined))
        await workers.listen((index) => [listener.bindOrder(index, before.order.id)]);
    } catch (error) {
      // The new one is in place, and nothing can be taken back.
      this.options.logger.error(`listener '${listener.name}' lost a socket to its update: ${String(error)}`);
    }
    await this.stopAccepting([before]);
    this.drain(before);
  }

  /** Which of its addresses `listener` has from the version before, by the index that they have there. */
  private keptSockets(
    listener: ManagedListener,
    before: ManagedListener | undefined,
  ): readonly (number | undefined)[] {
    if (before === undefined || !before.accepting || !before.binds || !listener.binds) return [];
    return keptTargets(listener.targets, before);
  }

  /** Binds what is not `kept`. */
  private async bind(
    listeners: readonly ManagedListener[],
    kept: readonly (number | undefined)[] = [],
  ): Promise<void> {
    const { workers, stats } = this.options;
    try {
      await this.acquire(listeners, kept);
      this.throwIfClosed();
      for (const listener of listeners) listener.accepting = true;
      const bound = await workers.listen((index) => listeners.map((listener) => listener.bindOrder(index)));
      this.throwIfClosed();
      listeners.forEach((listener, i) => {
        listener.addresses = addressesOf(listener, bound[i] ?? []);
      });
    } catch (error) {
      if (error instanceof ConfigError) stats.listenerCreateFailure.inc();
      await this.stopAccepting(listeners);
      throw error;
    }
  }

  private async acquire(
    listeners: readonly ManagedListener[],
    kept: readonly (number | undefined)[],
  ): Promise<void> {
    const { workers, sockets } = this.options;
    const problems = new ProblemCollector();
    await Promise.all(
      listeners.flatMap((listener) => {
        if (!listener.binds) return [];
        const { reusePort } = listener;
        return listener.targets.map(async (target, i) => {
          if (kept[i] !== undefined) return;
          const key = socketKey(listener, target, i);
          try {
            const request = { key, target, reusePort, workers: workers.count };
            listener.sockets[i] = await sockets.acquire(request);
          } catch (error) {
            problems.add(listener.targetPath(i), bindFailure([target], error));
          }
        });
      }),
    );
    problems.throwIfAny();
  }

  /** Nobody accepts for them any more, and their sockets are given up. */
  private async stopAccepting(listeners: readonly ManagedListener[]): Promise<void> {
    if (listeners.length === 0) return;
    for (const listener of listeners) listener.accepting = false;
    try {
      await this.options.workers.stopAccepting(listeners.map(({ order }) => order.id));
    } finally {
      for (const listener of listeners) listener.release();
    }
  }

  /** Its connections have the drain time to end by themselves. */
  private drain(listener: ManagedListener): void {
    if (this.closed) return;
    const { workers, clock, stats, drainTimeMs } = this.options;
    workers.drainListener(listener.order.id, drainTimeMs);
    const timer = clock.timer(() => void this.endDrain(listener));
    this.timers.set(listener, timer);
    stats.listenersDraining.set(this.timers.size);
    timer.enable(drainTimeMs);
  }

  private async endDrain(listener: ManagedListener): Promise<void> {
    await this.forget(listener);
    if (this.closed) return;
    this.timers.delete(listener);
    this.options.stats.listenersDraining.set(this.timers.size);
  }

  /** Workers end what is left of a listener. */
  private async forget(listener: ManagedListener): Promise<void> {
    const { name, order } = listener;
    listener.hold?.release();
    listener.hold = undefined;
    try {
      await this.options.workers.removeListener(order.id);
    } catch (error) {
      this.options.logger.error(`listener '${name}' could not be ended: ${String(error)}`);
    }
  }

  private noteFailure({ name, message, version }: ManagedListener, error: unknown): void {
    // Nobody could ask for it, or correct it.
    if (message.name === '') return;
    const details = error instanceof Error ? error.message : String(error);
    this.failures.note({ name, message, version, details, at: this.options.clock.wallTime() });
  }

  /** As Envoy counts: one that was stopped is still there. */
  private showActive(): void {
    this.options.stats.listenersActive.set(this.running.length);
  }

  private isStopped({ trafficDirection }: Listener): boolean {
    return (
      this.stopped === 'all' || (this.stopped === 'inbound' && trafficDirection === TrafficDirection.INBOUND)
    );
  }

  private throwIfClosed(): void {
    if (this.closed) throw new Error('the proxy was closed');
  }

  private manage(message: Listener, path: string, dynamic: boolean, version = ''): ManagedListener {
    const { ledger, random, clock } = this.options;
    // Envoy names a listener without a name likewise: it stands in /listeners and in runtime keys.
    const name = message.name === '' ? random.uuid() : message.name;
    const connections = ledger?.listenerConnections();
    const order = { id: ++this.lastId, name, message, path, connections };
    return new ManagedListener(order, clock.wallTime(), dynamic, version);
  }
}

/** What a worker has bound goes before what main knew: it knows the port that the kernel chose. */
function addressesOf({ sockets, targets }: ManagedListener, bound: readonly string[]): Address[] {
  return targets.map(({ address }, i) => {
    const acquired = sockets[i];
    const known = acquired === undefined ? address : (Address.parse(acquired.address) ?? address);
    const told = bound[i] === undefined ? undefined : Address.parse(bound[i]);
    return known.port === 0 && told !== undefined ? told : known;
  });
}

/** A fixed port is the same socket whatever the listener is called; port 0 is this listener's own. */
function socketKey({ message, order }: ManagedListener, { address }: BindTarget, index: number): string {
  return address.family === 'pipe' || address.port !== 0
    ? address.text
    : `${address.text} of ${message.name || order.path || order.name} (${index})`;
}

function textOf({ addresses }: RunningListener): string {
  return addresses.map(({ text }) => text).join(', ');
}
