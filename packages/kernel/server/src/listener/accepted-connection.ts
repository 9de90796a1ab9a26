import {
  type ConnectionCloseKind,
  type ConnectionHandler,
  type ConnectionInfo,
  type Logger,
  type LogContext,
  ResponseFlag,
  StreamInfo,
  type Timer,
  type TransportAccept,
} from '@dragoman/core';
import type { NetworkContext, SocketConnection } from '@dragoman/network';
import { type CompiledChain, filtersOf, type InfoSource, NetworkFilterChain } from './filter-chain.ts';
import type { CompiledListener } from './listener-config.ts';
import { type ListenerFilterOutcome, ListenerFilterRun } from './listener-filter-run.ts';
import type { ListenerStats } from './listener-stats.ts';
import { TRANSPORT_TIMEOUT, type TransportOwner, TransportStart } from './transport-start.ts';

/** What a connection has of its listener. */
export interface ConnectionHome {
  readonly listener: CompiledListener;
  readonly stats: ListenerStats;
  readonly network: NetworkContext;
  readonly filterLogger: Logger;
  onClosed(accepted: AcceptedConnection): void;
  /** Asked once, when listener filters have had their say: the listener that the connection belongs to from now on. */
  handOff(accepted: AcceptedConnection): ConnectionHome | undefined;
}

const NOTHING = Buffer.alloc(0);

/** An accepted connection: peeked at by listener filters, then handed to its filter chain. */
export class AcceptedConnection implements ConnectionHandler, InfoSource, TransportOwner {
  readonly connection: SocketConnection;
  start0 = 0;
  /** When it got its filter chain. */
  private counted0 = 0;
  private home: ConnectionHome;
  /** It was another listener's: it stays where it is. */
  private handedOff = false;
  private chain: NetworkFilterChain | undefined = undefined;
  private streamInfo: StreamInfo | undefined = undefined;
  /** The listener filters, until all of them have had their say. */
  private filters: ListenerFilterRun | undefined = undefined;
  private timer: Timer | undefined = undefined;
  /** Until the transport's handshake is through. */
  private transport: TransportStart | undefined = undefined;

  constructor(connection: SocketConnection, home: ConnectionHome) {
    this.connection = connection;
    this.home = home;
  }

  start(): void {
    this.begin(NOTHING);
  }

  /** @param arrived bytes that are to be delivered first */
  private begin(arrived: Buffer): void {
    this.start0 = this.network.clock.now();
    this.counted0 = this.start0;
    if (this.listener.listenerFilters.length === 0) this.chooseChain();
    else this.beginFilters();
    if (arrived.length > 0 && this.connection.open) this.onData(arrived);
  }

  private beginFilters(): void {
    if (this.listener.listenerFilters.some(({ missing }) => missing?.() === true)) {
      this.stats.configMissing.inc();
      this.connection.close('now', 'listener_filter_config_missing');
      return;
    }
    this.stats.preCxActive.inc();
    this.filters = new ListenerFilterRun(this.listener.listenerFilters, this.connection, this);
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
    this.home.onClosed(this);
  }

  private get listener(): CompiledListener {
    return this.home.listener;
  }

  private get stats(): ListenerStats {
    return this.home.stats;
  }

  private get network(): NetworkContext {
    return this.home.network;
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
    const home = this.handedOff ? undefined : this.home.handOff(this);
    if (home !== undefined) {
      this.moveTo(home, rest);
      return;
    }
    if (this.streamInfo !== undefined) this.streamInfo.remoteAddress = this.connection.info.remoteAddress;
    this.chooseChain();
    if (rest.length > 0 && this.connection.open) this.onData(rest);
  }

  /**
   * Begins anew with another listener: only what the socket and its addresses tell is kept, as in Envoy, and that listener's filters see the
   * bytes which the first one's have left.
   */
  private moveTo(home: ConnectionHome, rest: Buffer): void {
    const { connection } = this;
    this.home = home;
    this.handedOff = true;
    this.streamInfo = undefined;
    connection.info.filterState = undefined;
    connection.bufferLimitBytes = home.listener.bufferLimitBytes;
    this.begin(rest);
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
    const filters = filtersOf(compiled);
    if (filters === undefined) {
      this.stats.networkConfigMissing.inc();
      connection.close('now', 'network_filter_config_missing');
      return;
    }
    connection.info.filterChain = compiled.info;
    this.countBegin();
    const chain = new NetworkFilterChain(connection, filters, this, this.home.filterLogger);
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
