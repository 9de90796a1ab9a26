import {
  create,
  durationMs,
  LoadReportingService,
  type LoadStatsRequestSchema,
  LoadStatsRequestSchema as REQUEST,
  type LoadStatsResponse,
  type LoadStatsResponseSchema,
  type Node,
  NodeSchema,
} from '@dragoman/api';
import type {
  Counter,
  GrpcCallStatus,
  GrpcReconnectCallbacks,
  GrpcReconnectingStream,
  GrpcStream,
  Logger,
  Timer,
} from '@dragoman/core';
import { compileConfig, type LoadStatsSettings } from './config.ts';
import { LoadBook } from './load-book.ts';
import type { LoadReporterOptions } from './options.ts';
import { clusterStats } from './report.ts';

/** Tells servers that they may ask for all clusters. */
const SEND_ALL = 'envoy.lrs.supports_send_all_clusters';
/** Envoy has no least interval; a server that forgets to set one would keep it busy with reports alone. */
const MIN_INTERVAL_MS = 100;
/** What timers take. */
const MAX_INTERVAL_MS = 2 ** 31 - 1;
/** One report may be longer than a cluster's buffer limit; two never wait. */
const MAX_WAITING_BYTES = 64 * 1024 * 1024;
const NONE: ReadonlySet<string> = new Set();

type Stream = GrpcStream<typeof LoadStatsRequestSchema>;

/** Tells a management server how requests are spread over the hosts of clusters (Envoy: `LoadStatsReporter`). */
export interface LoadReporter {
  /** Opens the stream. Once. */
  start(): void;
  /** Ends it. */
  close(): void;
}

/**
 * The reporter of a process. It does nothing until it is started.
 * @throws ConfigError with a path below `cluster_manager.load_stats_config`
 */
export function createLoadReporter(options: LoadReporterOptions): LoadReporter {
  const { config, grpc, context } = options;
  const settings = compileConfig(config, grpc, (path, message) =>
    context.warn(`cluster_manager.load_stats_config.${path}`, message),
  );
  return new Reporter(options, settings);
}

class Reporter
  implements
    LoadReporter,
    GrpcReconnectCallbacks<typeof LoadStatsRequestSchema, typeof LoadStatsResponseSchema>
{
  private readonly options: LoadReporterOptions;
  private readonly settings: LoadStatsSettings;
  private readonly node: Node;
  private readonly logger: Logger;
  private readonly book = new LoadBook();
  private readonly timer: Timer;
  private readonly requests: Counter;
  private readonly responses: Counter;
  private readonly errors: Counter;
  private readonly retries: Counter;
  private link: GrpcReconnectingStream<typeof LoadStatsRequestSchema> | undefined = undefined;
  private stream: Stream | undefined = undefined;
  private streams = 0;
  private nodeSent = false;
  /** What the server wants, as it last said. It holds over streams. */
  private wish: LoadStatsResponse | undefined = undefined;
  /** The clusters of the next report, with the times from which it counts. */
  private tracked: ReadonlyMap<string, number> = new Map();
  private reporting = false;
  private closed = false;

  constructor(options: LoadReporterOptions, settings: LoadStatsSettings) {
    const { clock, loggers, stats } = options.context;
    const scope = stats.scope('load_reporter');
    this.options = options;
    this.settings = settings;
    this.node = create(NodeSchema, {
      ...options.node,
      clientFeatures: [...options.node.clientFeatures.filter((one) => one !== SEND_ALL), SEND_ALL],
    });
    this.logger = loggers.logger('upstream');
    // Named as the server sees them: it requests reports, and they are its responses.
    this.requests = scope.counter('requests');
    this.responses = scope.counter('responses');
    this.errors = scope.counter('errors');
    this.retries = scope.counter('retries');
    this.timer = clock.timer(() => this.onTimer());
  }

  start(): void {
    if (this.closed || this.link !== undefined) return;
    const method = LoadReportingService.method.streamLoadStats;
    const link = this.settings.client.reconnectingStream(
      method,
      { bufferLimitBytes: MAX_WAITING_BYTES },
      this,
    );
    this.link = link;
  }

  close(): void {
    this.closed = true;
    this.timer.disable();
    this.stream = undefined;
    this.link?.close();
  }

  // --- GrpcReconnectCallbacks ----------------------------------------------------------------------------------------------

  onOpen(stream: Stream): void {
    if (this.streams++ > 0) this.retries.inc();
    this.stream = stream;
    this.nodeSent = false;
    this.send(stream, []);
    // A server that has forgotten what it wanted gets it all the same, as from Envoy.
    if (this.wish !== undefined) this.arm(this.wish);
  }

  onMessage(wish: LoadStatsResponse): void {
    this.wish = wish;
    this.requests.inc();
    this.begin(wish);
  }

  onEnd({ code, message }: GrpcCallStatus, retryInMs: number): void {
    this.timer.disable();
    this.stream = undefined;
    const { destination } = this.settings.client;
    if (code === 0) {
      this.logger.debug(
        `${destination} has ended the stream of load reports; the next try is in ${retryInMs} ms`,
      );
      return;
    }
    this.errors.inc();
    this.logger.warn(
      `load reports to ${destination} failed: status ${code}, ${message}; the next try is in ${retryInMs} ms`,
    );
  }

  // --- Periods -------------------------------------------------------------------------------------------------------------

  /** Begins the next period. Clusters that were reported on go on from there, others from now on. */
  private begin(wish: LoadStatsResponse): void {
    const { clusters, context } = this.options;
    const now = context.clock.now();
    const fresh = new Set<string>();
    const tracked = new Map<string, number>();
    for (const name of wish.sendAllClusters ? clusters.names : wish.clusters) {
      const since = this.tracked.get(name);
      if (since === undefined) fresh.add(name);
      tracked.set(name, since ?? now);
    }
    this.tracked = tracked;
    this.book.keep(new Set(tracked.keys()));
    this.arm(wish);
    if (fresh.size > 0) void this.latch(fresh);
  }

  private arm({ loadReportingInterval }: LoadStatsResponse): void {
    const ms = durationMs(loadReportingInterval) ?? 0;
    this.timer.enable(Math.min(Math.max(Math.ceil(ms), MIN_INTERVAL_MS), MAX_INTERVAL_MS));
  }

  private onTimer(): void {
    const { stream, wish } = this;
    if (stream === undefined || wish === undefined) return;
    // What threads tell they forget: while nobody takes it they are better not asked.
    if (this.reporting || stream.host === undefined || !stream.writable) this.arm(wish);
    else void this.report(stream);
  }

  /** Does not reject. */
  private async report(stream: Stream): Promise<void> {
    this.reporting = true;
    try {
      const at = this.options.context.clock.now();
      const asked = this.tracked;
      await this.latch(NONE);
      if (this.closed || this.stream !== stream) return;
      this.sendReport(stream, asked, at);
      if (this.wish !== undefined) this.begin(this.wish);
    } catch (error) {
      this.logger.error(`a load report could not be made: ${String(error)}`);
      if (this.stream !== undefined && this.wish !== undefined) this.arm(this.wish);
    } finally {
      this.reporting = false;
    }
  }

  /** @param asked with the times from which the numbers count @param at up to when they do */
  private sendReport(stream: Stream, asked: ReadonlyMap<string, number>, at: number): void {
    const { clusters } = this.options;
    const perEndpoint = this.wish?.reportEndpointGranularity ?? false;
    const tracked = new Map(this.tracked);
    const stats: ReturnType<typeof clusterStats>[] = [];
    for (const [name, since] of asked) {
      // The server may want other clusters by now.
      if (tracked.get(name) !== since || !clusters.has(name)) continue;
      const totals = this.book.claim(name);
      // To the microsecond, as Envoy's.
      const intervalMs = Math.round((at - since) * 1000) / 1000;
      stats.push(
        clusterStats({ name, serviceName: clusters.serviceName(name), totals, intervalMs }, perEndpoint),
      );
      tracked.set(name, at);
    }
    this.tracked = tracked;
    this.send(stream, stats);
  }

  /** @param fresh whose past does not count */
  private latch(fresh: ReadonlySet<string>): Promise<void> {
    const asked = [...this.tracked.keys()];
    const perEndpoint = this.wish?.reportEndpointGranularity ?? false;
    return this.options.loads.latch(asked, perEndpoint, (from, loads) =>
      this.book.take(from, loads, asked, fresh),
    );
  }

  private send(stream: Stream, stats: readonly ReturnType<typeof clusterStats>[]): void {
    const withNode = !this.nodeSent || !this.settings.nodeOnFirstMessageOnly;
    this.nodeSent = true;
    stream.send(create(REQUEST, { ...(withNode ? { node: this.node } : {}), clusterStats: [...stats] }));
    this.responses.inc();
  }
}
