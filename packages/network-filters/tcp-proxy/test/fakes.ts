import { create, type MessageInitShape, TcpProxySchema } from '@dragoman/api';
import {
  Address,
  type Cancellable,
  type Cluster,
  type ClusterInfo,
  type ClusterManager,
  type ConnectionHandler,
  type Host,
  type LoadBalancerContext,
  type NetworkFilter,
  type PoolFailureReason,
  StreamInfo,
  type TcpPoolCallbacks,
  type TransportOptions,
} from '@dragoman/core';
import {
  type ConnectionPair,
  type ConnectionPairOptions,
  ConnectionRecorder,
  connectionPair,
  MemoryStats,
  type TestContext,
  testContext,
} from '@dragoman/testing';
import { tcpProxy } from '../src/index.ts';

/** What a cluster was asked for and has not answered yet. */
export interface Attempt {
  readonly host: Host;
  readonly callbacks: TcpPoolCallbacks;
  readonly transport: TransportOptions | undefined;
  cancelled: boolean;
}

export function host(address: string): Host {
  return { address: Address.parse(address), clusterName: 'service', hostname: '' } as unknown as Host;
}

/** A cluster that hands out its hosts in turn, and whose connections come up when a test says so. */
export class FakeCluster implements Cluster {
  readonly attempts: Attempt[] = [];
  readonly contexts: (LoadBalancerContext | undefined)[] = [];
  readonly hostSets = [];
  readonly info: Cluster['info'] & { transportOptions?: ClusterInfo['transportOptions'] };
  hosts: Host[];
  /** Answers at once instead of when the test says so. */
  immediately: ((attempt: Attempt) => void) | undefined = undefined;
  private next = 0;

  constructor(name: string, stats: MemoryStats, hosts: readonly string[] = ['10.0.0.1:80']) {
    this.hosts = hosts.map(host);
    const scope = stats.scope(`cluster.${name}`);
    this.info = {
      name,
      statsScope: scope,
      stats: {
        upstreamFlowControlPausedReadingTotal: scope.counter('upstream_flow_control_paused_reading_total'),
        upstreamFlowControlResumedReadingTotal: scope.counter('upstream_flow_control_resumed_reading_total'),
      },
    } as unknown as Cluster['info'];
  }

  chooseHost(context: LoadBalancerContext | undefined): Host | undefined {
    this.contexts.push(context);
    return this.hosts[this.next++ % Math.max(1, this.hosts.length)];
  }

  httpPool(): never {
    throw new Error('a TCP proxy asks for no HTTP pool');
  }

  newTcpConnection(
    chosen: Host,
    _priority: unknown,
    callbacks: TcpPoolCallbacks,
    transport?: TransportOptions,
  ): Cancellable | undefined {
    const attempt: Attempt = { host: chosen, callbacks, transport, cancelled: false };
    this.attempts.push(attempt);
    if (this.immediately !== undefined) {
      this.immediately(attempt);
      return undefined;
    }
    return {
      cancel: () => {
        attempt.cancelled = true;
      },
    };
  }
}

export type ProxyConfig = MessageInitShape<typeof TcpProxySchema>;

/** A filter between two connections in memory. */
export class Session {
  readonly context: TestContext;
  readonly cluster: FakeCluster;
  readonly down: ConnectionPair;
  readonly up: ConnectionPair;
  /** The peer downstream. */
  readonly client: ConnectionRecorder;
  /** The peer upstream. */
  readonly server: ConnectionRecorder;
  readonly info: StreamInfo;
  readonly filter: NetworkFilter;
  resumed = 0;

  constructor(
    config: ProxyConfig = {},
    options: ConnectionPairOptions & {
      readonly context?: Partial<TestContext>;
      readonly hosts?: readonly string[];
      readonly clusters?: (session: FakeCluster) => ClusterManager;
      readonly prepare?: (info: StreamInfo) => void;
    } = {},
  ) {
    const stats = new MemoryStats();
    this.cluster = new FakeCluster('service', stats, options.hosts);
    const clusters: ClusterManager = options.clusters?.(this.cluster) ?? {
      get: (name) => (name === 'service' ? this.cluster : undefined),
      clusterNames: ['service'],
    };
    this.context = testContext({ stats, clusters, ...options.context });
    this.down = connectionPair(options);
    this.up = connectionPair(options);
    this.client = new ConnectionRecorder(this.down.client);
    this.server = new ConnectionRecorder(this.up.server);
    this.info = new StreamInfo(this.down.server.info, 0, this.context.clock.now());
    options.prepare?.(this.info);
    const message = create(TcpProxySchema, {
      statPrefix: 'ingress',
      clusterSpecifier: { case: 'cluster', value: 'service' },
      ...config,
    });
    const createFilter = tcpProxy.create(message as never, this.context);
    this.filter = createFilter({
      connection: this.down.server,
      info: this.info,
      sole: true,
      resume: () => {
        this.resumed++;
      },
    });
    this.down.server.setHandler(handlerOf(this.filter));
  }

  /** Accepts downstream; upstream waits for {@link connected}. */
  open(): this {
    this.filter.onNewConnection?.();
    return this;
  }

  /** The upstream connection of the last attempt is up. */
  connected(): this {
    const attempt = this.cluster.attempts.at(-1) as Attempt;
    attempt.callbacks.onPoolReady(this.up.client, attempt.host);
    return this;
  }

  failed(reason: PoolFailureReason, details = ''): this {
    const attempt = this.cluster.attempts.at(-1) as Attempt;
    attempt.callbacks.onPoolFailure(reason, details, attempt.host);
    return this;
  }

  /** Lets bytes and events move until nothing is left. */
  run(): this {
    for (let seen = -1; seen !== this.progress(); ) {
      seen = this.progress();
      this.down.run();
      this.up.run();
    }
    return this;
  }

  get flags(): number {
    return this.info.responseFlags;
  }

  stat(name: string): number {
    return this.context.stats.value(`tcp.ingress.${name}`);
  }

  private progress(): number {
    return (
      this.client.events.length +
      this.server.events.length +
      this.down.server.bytesRead +
      this.up.client.bytesRead
    );
  }
}

/** What a filter chain of one filter does. */
export function handlerOf(filter: NetworkFilter): ConnectionHandler {
  return {
    onData: (data) => {
      filter.onData?.(data);
    },
    onEnd: () => filter.onEnd?.(),
    onWritable: () => filter.onWritable?.(),
    onClose: (kind, reason) => filter.onClose?.(kind, reason),
  };
}
