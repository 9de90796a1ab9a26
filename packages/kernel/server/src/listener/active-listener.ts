import {
  Address,
  type ConnectionCloseKind,
  type ConnectionHandler,
  type ConnectionInfo,
  LoadShedPointName,
  type LoadShedPoint,
  type Logger,
  type LogContext,
  OverloadActionName,
  type OverloadAction,
  ResponseFlag,
  StreamInfo,
  type Timer,
  type TransportAccept,
} from '@dragoman/core';
import {
  type AcceptHandler,
  type AcceptOptions,
  type HandOverOptions,
  type NetworkContext,
  type SocketConnection,
  TcpListener,
} from '@dragoman/network';
import { type CompiledChain, type InfoSource, NetworkFilterChain } from './filter-chain.ts';
import { dup } from '@dragoman/posix';
import type { ConnectionCount } from '../worker/connection-count.ts';
import type { SocketOrder } from '../worker/orders.ts';
import { TRANSPORT_TIMEOUT, type TransportOwner, TransportStart } from './transport-start.ts';
import { type BindTarget, keptTargets } from './addresses.ts';
import type { CompiledListener } from './listener-config.ts';
import { type ListenerFilterOutcome, ListenerFilterRun } from './listener-filter-run.ts';
import { createListenerStats, type ListenerStats } from './listener-stats.ts';

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
  private readonly filterLogger: Logger;
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
  /** Sockets come and go one after the other: one that is being bound is not forgotten. */
  private turn: Promise<unknown> = Promise.resolve();
  /** Somebody waits for the last connection to be gone. */
  private emptied: PromiseWithResolvers<void> | undefined = undefined;

  constructor(
    compiled: CompiledListener,
    network: NetworkContext,
    workerName: string,
    counts: ListenerCounts,
  ) {
    this.compiled = compiled;
    this.network = network;
    this.logger = compiled.context.loggers.logger('conn_handler');
    this.filterLogger = compiled.context.loggers.logger('filter');
    this.limitKey = `envoy.resource_limits.listener.${compiled.name}.connection_limit`;
    this.stats = createListenerStats(compiled.context.listenerScope, workerName);
    this.counts = counts;
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
      if (!this.compiled.bindToPort) return;
      try {
        for (const [i, target] of this.compiled.targets.entries()) {
          for (const order of orders[i] ?? []) {
            const socket = await this.bind(target, order);
            socket.hold(this.holding);
            this.socketsOf(i).push(socket);
          }
        }
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

  private async closeSockets(): Promise<void> {
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
    this.counts.listener.inc();
    this.counts.proxy.inc();
    const accepted = new AcceptedConnection(
      connection,
      this.compiled,
      this.stats,
      this.network,
      this.filterLogger,
      this.closed,
    );
    this.connections.add(accepted);
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

  /** One for all connections. */
  private readonly closed = (accepted: AcceptedConnection): void => {
    this.connections.delete(accepted);
    this.counts.listener.dec();
    this.counts.proxy.dec();
    if (this.connections.size > 0) return;
    this.emptied?.resolve();
    this.emptied = undefined;
  };
}

/** An accepted connection: peeked at by listener filters, then handed to its filter chain. */
class AcceptedConnection implements ConnectionHandler, InfoSource, TransportOwner {
  readonly connection: SocketConnection;
  readonly start0: number;
  /** When it got its filter chain. */
  private counted0: number;
  private readonly listener: CompiledListener;
  private readonly stats: ListenerStats;
  private readonly network: NetworkContext;
  private readonly filterLogger: Logger;
  private readonly onClosed: (accepted: AcceptedConnection) => void;
  private chain: NetworkFilterChain | undefined = undefined;
  private streamInfo: StreamInfo | undefined = undefined;
  /** The listener filters, until all of them have had their say. */
  private filters: ListenerFilterRun | undefined = undefined;
  private timer: Timer | undefined = undefined;
  /** Until the transport's handshake is through. */
  private transport: TransportStart | undefined = undefined;

  constructor(
    connection: SocketConnection,
    listener: CompiledListener,
    stats: ListenerStats,
    network: NetworkContext,
    filterLogger: Logger,
    onClosed: (accepted: AcceptedConnection) => void,
  ) {
    this.connection = connection;
    this.listener = listener;
    this.stats = stats;
    this.network = network;
    this.filterLogger = filterLogger;
    this.onClosed = onClosed;
    this.start0 = network.clock.now();
    this.counted0 = this.start0;
  }

  start(): void {
    if (this.listener.listenerFilters.length === 0) {
      this.chooseChain();
      return;
    }
    this.stats.preCxActive.inc();
    this.filters = new ListenerFilterRun(this.listener.listenerFilters, this.connection.info, this);
    const { listenerFiltersTimeoutMs: ms } = this.listener;
    if (ms > 0) {
      this.timer = this.network.clock.timer(() => this.onTimeout());
      this.timer.enable(ms);
    }
    this.afterFilters(this.filters.start());
  }

  onData(data: Buffer): void {
    if (this.filters === undefined) {
      if (this.transport === undefined) this.chain?.onData(data);
      else this.transport.onData(data);
      return;
    }
    this.afterFilters(this.filters.add(data));
  }

  onEnd(): void {
    if (this.filters === undefined) {
      if (this.transport === undefined) this.chain?.onEnd();
      else this.connection.close('now');
      return;
    }
    this.stats.filterRemoteClose.inc();
    this.connection.close('now');
  }

  onWritable(): void {
    this.chain?.onWritable();
  }

  onClose(kind: ConnectionCloseKind, reason: string): void {
    if (this.filters !== undefined) {
      if (kind === 'remote' && reason !== '') this.stats.filterError.inc();
      this.endFilters();
    }
    this.endTransport();
    this.chain?.onClose(kind, reason);
    if (this.connection.info.filterChain !== undefined) this.countEnd();
    this.log();
    this.onClosed(this);
  }

  /** Made when somebody asks. */
  get info(): StreamInfo {
    this.streamInfo ??= new StreamInfo(this.connection.info, this.connection.info.startTime, this.start0);
    return this.streamInfo;
  }

  private afterFilters(outcome: ListenerFilterOutcome): void {
    switch (outcome) {
      case 'done':
        this.finishFilters();
        break;
      case 'refused':
        this.connection.close('now', 'listener_filter_closed');
        break;
      case 'overflow':
        this.connection.close('now', 'listener_filter_buffer_limit');
        break;
      case 'wait':
    }
  }

  private finishFilters(): void {
    if (this.filters === undefined || !this.connection.open) return;
    const { rest } = this.filters;
    this.endFilters();
    if (this.streamInfo !== undefined) this.streamInfo.remoteAddress = this.connection.info.remoteAddress;
    this.chooseChain();
    if (rest.length > 0 && this.connection.open) this.onData(rest);
  }

  private endFilters(): void {
    this.filters = undefined;
    this.timer?.disable();
    this.stats.preCxActive.dec();
  }

  private onTimeout(): void {
    this.stats.preCxTimeout.inc();
    if (this.listener.continueOnFiltersTimeout) this.connection.run(() => this.finishFilters());
    else this.connection.close('now', 'listener_filters_timeout');
  }

  private chooseChain(): void {
    const { connection } = this;
    if (connection.info.transportProtocol === '') connection.info.transportProtocol = 'raw_buffer';
    const compiled: CompiledChain | undefined = this.listener.chains.find(
      connection.info,
      connection.info.filterState,
    );
    if (compiled === undefined) {
      this.stats.noFilterChainMatch.inc();
      this.info.setResponseFlag(ResponseFlag.NoRouteFound);
      this.info.responseCodeDetails = 'filter_chain_not_found';
      connection.close('now', 'filter_chain_not_found');
      return;
    }
    connection.info.filterChain = compiled.info;
    this.countBegin();
    const chain = new NetworkFilterChain(connection, compiled, this, this.filterLogger);
    this.chain = chain;
    const { transportSocket, transportTimeoutMs } = compiled;
    if (transportSocket?.acceptLater !== undefined) this.offerSecureTransport(transportSocket.acceptLater);
    if (transportSocket?.accept === undefined) chain.open();
    else
      this.transport = new TransportStart(
        transportSocket.accept(connection.info),
        connection,
        this,
        this.network,
        transportTimeoutMs,
        this.listener.connectScale,
      );
  }

  onTransportReady(): void {
    this.endTransport();
    if (this.streamInfo !== undefined)
      this.streamInfo.downstreamHandshakeComplete = this.connection.info.handshakeComplete;
    this.chain?.open();
  }

  onTransportTimeout(): void {
    this.stats.transportTimeout.inc();
    this.connection.close('now', TRANSPORT_TIMEOUT);
  }

  private endTransport(): void {
    this.transport?.stop();
    this.transport = undefined;
  }

  /** `starttls`: a filter decides when the secure transport begins. */
  private offerSecureTransport(acceptLater: (info: ConnectionInfo) => TransportAccept): void {
    const { connection } = this;
    connection.secureLater = () => {
      this.transport = new TransportStart(
        acceptLater(connection.info),
        connection,
        { onTransportReady: () => this.endTransport(), onTransportTimeout: () => {} },
        this.network,
        0,
      );
    };
  }

  /** A connection counts once it has a filter chain, as in Envoy; limits count it from the start. */
  private countBegin(): void {
    const { stats } = this;
    if (this.listener.listenerFilters.length > 0) this.counted0 = this.network.clock.now();
    stats.cxTotal.inc();
    stats.cxActive.inc();
    stats.workerCxTotal.inc();
    stats.workerCxActive.inc();
  }

  private countEnd(): void {
    const { stats } = this;
    stats.cxActive.dec();
    stats.workerCxActive.dec();
    stats.cxDestroy.inc();
    stats.cxLengthMs.record(Math.round(this.network.clock.now() - this.counted0));
  }

  private log(): void {
    const { accessLogs } = this.listener;
    if (accessLogs.length === 0) return;
    const { info, connection } = this;
    info.end = this.network.clock.now();
    info.bytesReceived = connection.bytesRead;
    info.bytesSent = connection.bytesWritten;
    info.downstreamWireBytesReceived = connection.bytesRead;
    info.downstreamWireBytesSent = connection.bytesWritten;
    info.connectionTerminationDetails = connection.info.terminationDetails;
    const context: LogContext = {
      info,
      request: undefined,
      response: undefined,
      responseTrailers: undefined,
      type: 'NotSet',
    };
    for (const logger of accessLogs) {
      try {
        logger.log(context);
      } catch (error) {
        this.network.logger.error(
          `an access logger of listener ${this.listener.name} failed: ${String(error)}`,
        );
      }
    }
  }
}
