import {
  type AccessLogger,
  type ClusterManager,
  type DrainDecision,
  ExtensionRegistry,
  emptyRuntime,
  type HttpFilterContext,
  type LogContext,
  type Logger,
  type LoggerFactory,
  type LogLevel,
  neverOverloaded,
  noDynamicResources,
  noSubClusters,
  type UpstreamTransportContext,
} from '@dragoman/core';
import { FakeClock } from './clock.ts';
import { MemoryStats } from './memory-stats.ts';
import { SeededRandom } from './random.ts';

/** A context for factories of extensions, with everything a test may want to look at. */
export interface TestContext extends HttpFilterContext, UpstreamTransportContext {
  readonly clock: FakeClock;
  readonly random: SeededRandom;
  readonly stats: MemoryStats;
  readonly listenerScope: MemoryStats;
  readonly loggers: RecordingLoggers;
  readonly drain: TestDrain;
  /** What was given to {@link HttpFilterContext.warn}: `path: message`. */
  readonly warnings: string[];
  /** What was written to each log file. */
  readonly files: ReadonlyMap<string, string[]>;
  /** What the loggers of {@link HttpFilterContext.accessLoggers} were given. */
  readonly logged: LogContext[];
}

const NO_CLUSTERS: ClusterManager = { get: () => undefined, clusterNames: [] };

/**
 * Makes a context: fake time, a seed, stats in memory under Envoy's names (`http.test.`, `listener.test.`), logs that are kept,
 * no clusters. Its formatters refuse every format: hand in a real factory when a test needs one.
 *
 * @param over replaces parts
 */
export function testContext(over: Partial<TestContext> = {}): TestContext {
  const stats = over.stats ?? new MemoryStats();
  const warnings: string[] = [];
  const logged: LogContext[] = [];
  const files = new Map<string, string[]>();
  const logger: AccessLogger = { log: (context) => logged.push(context) };
  const noGrpc = () => {
    throw new Error('this test context makes no gRPC clients: give it `grpc`');
  };
  const noFormat = () => {
    throw new Error('this test context compiles no formats: give it `formatters`');
  };
  return {
    clock: new FakeClock(),
    random: new SeededRandom(),
    loggers: new RecordingLoggers(),
    runtime: emptyRuntime,
    extensions: new ExtensionRegistry([]),
    localInfo: { cluster: 'test-cluster', node: 'test-node', zone: 'test-zone', address: '192.0.2.2' },
    stats,
    formatters: {
      text: noFormat,
      fromConfig: noFormat,
      get default() {
        return noFormat();
      },
    },
    clusters: NO_CLUSTERS,
    subClusters: noSubClusters,
    grpc: { create: noGrpc, compileRetryPolicy: noGrpc },
    upstreamFilters: () => ({ through: (pool) => pool }),
    secrets: { find: () => undefined, names: [] },
    dynamicResources: noDynamicResources,
    processKey: new Uint8Array(48),
    certificates: { register: () => () => {} },
    logFiles: {
      open: (path) => {
        const entries = files.get(path) ?? [];
        files.set(path, entries);
        return { write: (entry) => entries.push(entry) };
      },
    },
    accessLoggers: (configs) => configs.map(() => logger),
    drain: new TestDrain(),
    overload: neverOverloaded,
    listenerScope: stats.scope('listener.test'),
    clusterName: 'test',
    clusterScope: stats.scope('cluster.test'),
    perConnectionBufferLimitBytes: 1024 * 1024,
    listenerName: 'test',
    trafficDirection: 'UNSPECIFIED',
    secure: false,
    statPrefix: 'http.test.',
    warn: (path, message) => warnings.push(`${path}: ${message}`),
    warnings,
    files,
    logged,
    ...over,
  };
}

/** Draining as a test says. */
export class TestDrain implements DrainDecision {
  draining = false;
  healthCheckFailed = false;
  /** What {@link drainClose} answers while draining. */
  closes = true;
  private delayMs = 0;
  private readonly callbacks = new Set<(delayMs: number) => void>();

  drainClose(): boolean {
    return this.draining && this.closes;
  }

  onDrain(callback: (delayMs: number) => void): () => void {
    this.callbacks.add(callback);
    if (this.draining) callback(this.delayMs);
    return () => this.callbacks.delete(callback);
  }

  /** Callbacks that were not taken back. */
  get waiting(): number {
    return this.callbacks.size;
  }

  /** Begins: every callback runs, with `delayMs`, and so do those that come later. */
  start(delayMs = 0): void {
    this.draining = true;
    this.delayMs = delayMs;
    for (const callback of [...this.callbacks]) callback(delayMs);
  }
}

/** Keeps what was logged: `http error: message`. */
export class RecordingLoggers implements LoggerFactory {
  readonly lines: string[] = [];

  logger(component: string): Logger {
    const write = (level: LogLevel) => (message: string) => {
      this.lines.push(`${component} ${level}: ${message}`);
    };
    return {
      trace: write('trace'),
      debug: write('debug'),
      info: write('info'),
      warn: write('warning'),
      error: write('error'),
      critical: write('critical'),
      enabled: () => true,
    };
  }
}
