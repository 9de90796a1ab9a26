import {
  Address,
  type ConnectionHandler,
  LoadShedPointName,
  type LoadShedPoint,
  type Logger,
  OverloadActionName,
  type OverloadAction,
} from '@dragoman/core';
import {
  type AcceptHandler,
  type AcceptOptions,
  type HandOverOptions,
  type NetworkContext,
  type SocketConnection,
  TcpListener,
} from '@dragoman/network';
import { AcceptedConnection, type ConnectionHome } from './accepted-connection.ts';
import { dup } from '@dragoman/posix';
import type { ConnectionCount } from '../worker/connection-count.ts';
import type { SocketOrder } from '../worker/orders.ts';
import { type BindTarget, keptTargets } from './addresses.ts';
import type { CompiledListener } from './listener-config.ts';
import { createListenerStats, type ListenerStats } from './listener-stats.ts';
import type { ListenersByAddress } from './listeners-by-address.ts';

/** What the connection limits look at. */
export interface ListenerCounts {
  readonly listener: ConnectionCount;
  readonly proxy: ConnectionCount;
}

/** Until a connection manager says otherwise. */
const DEFAULT_DELAYED_CLOSE_MS = 1000;

/** One listener on one worker: its sockets and the connections they have accepted. */
export class ActiveListener implements AcceptHandler {
  readonly compiled: CompiledListener;
  private readonly network: NetworkContext;
  private readonly logger: Logger;
  private readonly stats: ListenerStats;
  /** The runtime key of this listener's own limit. */
  private readonly limitKey: string;
  private readonly counts: ListenerCounts;
  /** Undefined where no config speaks of them. */
  private readonly shedAccept: LoadShedPoint | undefined;
  private readonly rejectConnections: OverloadAction | undefined;
  private readonly stopConnections: OverloadAction | undefined;
  private readonly stopWatchingOverload: () => void;
  /** `stop_accepting_connections` is saturated. */
  private holding = false;
  /** By address; several for one address when this worker accepts on several sockets. */
  private sockets: TcpListener[][] = [];
  private readonly connections = new Set<AcceptedConnection>();
  /** Those of this worker. */
  private readonly serving: ListenersByAddress<ActiveListener>;
  /** One for all connections. */
  private readonly home: ConnectionHome;
  /** Sockets come and go one after the other: one that is being bound is not forgotten. */
  private turn: Promise<unknown> = Promise.resolve();
  /** Somebody waits for the last connection to be gone. */
  private emptied: PromiseWithResolvers<void> | undefined = undefined;

  constructor(
    compiled: CompiledListener,
    network: NetworkContext,
    workerName: string,
    counts: ListenerCounts,
    serving: ListenersByAddress<ActiveListener>,
  ) {
    this.compiled = compiled;
    this.network = network;
    this.logger = compiled.context.loggers.logger('conn_handler');
    this.limitKey = `envoy.resource_limits.listener.${compiled.name}.connection_limit`;
    this.stats = createListenerStats(compiled.context.listenerScope, workerName);
    this.counts = counts;
    this.serving = serving;
    this.home = {
      listener: compiled,
      stats: this.stats,
      network,
      filterLogger: compiled.context.loggers.logger('filter'),
      onClosed: (accepted) => this.leave(accepted),
      handOff: (accepted) => this.handOff(accepted),
    };
    const { overload } = compiled.context;
    this.shedAccept = overload.loadShedPoint(LoadShedPointName.tcpListenerAccept);
    this.rejectConnections = overload.action(OverloadActionName.rejectIncomingConnections);
    this.stopConnections = overload.action(OverloadActionName.stopAcceptingConnections);
    this.holding = this.stopConnections?.saturated === true;
    this.stopWatchingOverload =
      this.stopConnections === undefined ? () => undefined : overload.onChange(() => this.onOverloadChange());
  }

  private onOverloadChange(): void {
    const holding = this.stopConnections?.saturated === true;
    if (holding === this.holding) return;
    this.holding = holding;
    for (const socket of this.sockets.flat()) socket.hold(holding);
  }

  /** Where it listens, ports resolved; what the config says while (or where) it is not bound. */
  get addresses(): readonly Address[] {
    return this.compiled.targets.map((target, i) => this.sockets[i]?.[0]?.address ?? target.address);
  }

  /**
   * Accepts on what main has ordered for each address, besides what it accepts on already. Rejects with Node's error, which names the
   * address; nothing stays bound then.
   */
  listen(orders: readonly (readonly SocketOrder[])[]): Promise<void> {
    return this.inTurn(async () => {
      if (!this.compiled.bindToPort) {
        this.serve();
        return;
      }
      try {
        for (const [i, target] of this.compiled.targets.entries()) {
          for (const order of orders[i] ?? []) {
            const socket = await this.bind(target, order);
            socket.hold(this.holding);
            this.socketsOf(i).push(socket);
          }
        }
        this.serve();
      } catch (error) {
        await this.closeSockets();
        throw error;
      }
    });
  }

  /**
   * Accepts on the sockets that `previous`, an older version of this listener, has for the same addresses, from now on; that one keeps the
   * others.
   */
  takeOver(previous: ActiveListener): Promise<void> {
    return this.inTurn(() =>
      previous.inTurn(async () => {
        const { addresses, compiled } = previous;
        keptTargets(this.compiled.targets, { targets: compiled.targets, addresses }).forEach((from, i) => {
          if (from === undefined) return;
          const sockets = previous.sockets[from] ?? [];
          previous.sockets[from] = [];
          this.socketsOf(i).push(...sockets);
          for (const socket of sockets) {
            socket.handOver(this.handOverOptions(i), this);
            socket.hold(this.holding);
          }
        });
        this.serve();
      }),
    );
  }

  /** Open connections go on. */
  stopAccepting(): Promise<void> {
    return this.inTurn(() => this.closeSockets());
  }

  /** Leaves its sockets to whoever takes this thread's place; see {@link TcpListener.abandon}. */
  abandon(): void {
    for (const socket of this.sockets.flat()) socket.abandon();
  }

  /** Ends every connection now. Resolves when the last of them is gone and its requests are logged. */
  closeConnections(): Promise<void> {
    this.stopWatchingOverload();
    for (const accepted of this.connections) accepted.connection.close('now', 'listener_closed');
    return this.untilEmpty();
  }

  /** Resolves when there is no connection. */
  untilEmpty(): Promise<void> {
    if (this.connections.size === 0) return Promise.resolve();
    this.emptied ??= Promise.withResolvers<void>();
    return this.emptied.promise;
  }

  /** Takes what is handed off to its addresses. */
  private serve(): void {
    const { addresses, compiled } = this;
    this.serving.set(
      this,
      compiled.targets.map(({ address, ipv6Only }, i) => ({ address: addresses[i] ?? address, ipv6Only })),
    );
  }

  private async closeSockets(): Promise<void> {
    this.serving.delete(this);
    const sockets = this.sockets.flat();
    this.sockets = [];
    await Promise.all(sockets.map((socket) => socket.close()));
  }

  private socketsOf(target: number): TcpListener[] {
    const sockets = this.sockets[target] ?? [];
    this.sockets[target] = sockets;
    return sockets;
  }

  private inTurn(change: () => Promise<void>): Promise<void> {
    const result = this.turn.then(change);
    this.turn = result.catch(() => {});
    return result;
  }

  private bind(target: BindTarget, order: SocketOrder): Promise<TcpListener> {
    return TcpListener.listen(
      {
        address: Address.parse(order.address) ?? target.address,
        backlog: this.compiled.backlog,
        reusePort: order.reusePort,
        // The order's descriptor stays main's: this worker may end, and another one listen in its place.
        descriptor: order.descriptor === undefined ? undefined : dup(order.descriptor),
        ipv6Only: target.ipv6Only,
        mode: target.mode,
        ...this.acceptOptions,
      },
      this.network,
      this,
    );
  }

  private handOverOptions(target: number): HandOverOptions {
    const { backlog, targets } = this.compiled;
    return { ...this.acceptOptions, backlog, mode: targets[target]?.mode };
  }

  private get acceptOptions(): AcceptOptions {
    const { tuning, bufferLimitBytes } = this.compiled;
    return {
      keepAlive: tuning.keepAlive,
      bufferLimitBytes,
      delayedCloseMs: DEFAULT_DELAYED_CLOSE_MS,
      stats: undefined,
    };
  }

  // --- AcceptHandler -------------------------------------------------------------------------------------------------

  onAccept(connection: SocketConnection): ConnectionHandler | undefined {
    if (this.overLimit()) return undefined;
    this.stats.acceptedPerEvent.record(1);
    const accepted = new AcceptedConnection(connection, this.home);
    this.enter(accepted);
    // Before anything can fail: a connection that a filter's bug closes is reported to its handler like any other.
    connection.setHandler(accepted);
    accepted.start();
    return accepted;
  }

  onAcceptError(error: Error): void {
    this.logger.warn(`listener ${this.compiled.name || this.addresses[0]?.text}: ${error.message}`);
  }

  onHeldTooMany(): void {
    this.stats.cxOverloadReject.inc();
  }

  private overLimit(): boolean {
    const { ignoreGlobalLimit, context } = this.compiled;
    const { runtime, overload } = context;
    const own = runtime.getInteger(this.limitKey, Number.MAX_SAFE_INTEGER);
    if (this.counts.listener.total >= own) {
      this.stats.cxOverflow.inc();
      return true;
    }
    const all =
      overload.maxDownstreamConnections ??
      runtime.getInteger('overload.global_downstream_max_connections', Number.MAX_SAFE_INTEGER);
    if (!ignoreGlobalLimit && this.counts.proxy.total >= all) {
      this.stats.globalCxOverflow.inc();
      return true;
    }
    if (this.shedAccept?.shouldShed() === true || this.rejectConnections?.fires() === true) {
      this.stats.cxOverloadReject.inc();
      return true;
    }
    return false;
  }

  private enter(accepted: AcceptedConnection): void {
    this.counts.listener.inc();
    this.counts.proxy.inc();
    this.connections.add(accepted);
  }

  private leave(accepted: AcceptedConnection): void {
    this.connections.delete(accepted);
    this.counts.listener.dec();
    this.counts.proxy.dec();
    if (this.connections.size > 0) return;
    this.emptied?.resolve();
    this.emptied = undefined;
  }

  /**
   * A connection that was redirected goes to the listener at the address that it was made to.
   * @returns that listener's home; undefined: the connection stays
   */
  private handOff(accepted: AcceptedConnection): ConnectionHome | undefined {
    const { info } = accepted.connection;
    if (!this.compiled.useOriginalDst || info.localAddressRestored !== true) return undefined;
    const listener = this.serving.find(info.localAddress);
    if (listener === undefined || listener === this) return undefined;
    this.leave(accepted);
    // Its limit is not looked at: Envoy's connections are limited where they are accepted.
    listener.enter(accepted);
    return listener.home;
  }
}
