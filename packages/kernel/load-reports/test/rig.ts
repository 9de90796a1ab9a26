import type { DescMessage } from '@bufbuild/protobuf';
import {
  ApiConfigSourceSchema,
  create,
  fromBinary,
  type GrpcService,
  type LoadStatsRequest,
  LoadStatsRequestSchema,
  LoadStatsResponseSchema,
  type MessageInitShape,
  NodeSchema,
  readLoose,
  toBinary,
  toJson,
} from '@dragoman/api';
import {
  ConfigError,
  type GrpcClient,
  type GrpcClientFactory,
  type GrpcReconnectCallbacks,
  type GrpcReconnectingStream,
  type Host,
} from '@dragoman/core';
import { testContext } from '@dragoman/testing';
import type { ClusterLoad, LocalityLoad } from '@dragoman/upstream';
import { createLoadReporter, type KnownClusters, type LoadSource, type TakeLoads } from '../src/index.ts';

type Callbacks = GrpcReconnectCallbacks<typeof LoadStatsRequestSchema, typeof LoadStatsResponseSchema>;

/** A stream that a test plays the server of. What is sent is written and read, as on a real one. */
export class FakeStream {
  readonly sent: LoadStatsRequest[] = [];
  readonly callbacks: Callbacks;
  host: Host | undefined = {} as Host;
  writable = true;
  closed = false;

  constructor(callbacks: Callbacks) {
    this.callbacks = callbacks;
  }

  open(): void {
    this.callbacks.onOpen(this as never);
  }

  say(response: MessageInitShape<typeof LoadStatsResponseSchema>): void {
    const bytes = toBinary(LoadStatsResponseSchema, create(LoadStatsResponseSchema, response));
    this.callbacks.onMessage(fromBinary(LoadStatsResponseSchema, bytes));
  }

  end(code: number): void {
    this.callbacks.onEnd({ code, message: 'gone', details: '', statusDetails: undefined }, 700, undefined);
  }

  send(request: LoadStatsRequest): boolean {
    this.sent.push(fromBinary(LoadStatsRequestSchema, toBinary(LoadStatsRequestSchema, request)));
    return this.writable;
  }

  close(): void {
    this.closed = true;
  }
}

class FakeGrpc implements GrpcClientFactory {
  stream: FakeStream | undefined = undefined;

  create(config: unknown): GrpcClient {
    const { targetSpecifier } = config as GrpcService;
    if (targetSpecifier.case !== 'envoyGrpc') throw ConfigError.at('', 'needs envoy_grpc');
    return {
      destination: targetSpecifier.value.clusterName,
      timeoutMs: undefined,
      reconnectingStream: (_method: unknown, _options: unknown, callbacks: Callbacks) => {
        this.stream = new FakeStream(callbacks);
        this.stream.open();
        return this.stream as unknown as GrpcReconnectingStream<DescMessage>;
      },
    } as unknown as GrpcClient;
  }

  compileRetryPolicy(): never {
    throw new Error('no retries here');
  }
}

export const CONFIG = {
  api_type: 'GRPC',
  transport_api_version: 'V3',
  grpc_services: [{ envoy_grpc: { cluster_name: 'lrs' } }],
};

/** Threads, whose loads a test sets. */
export class FakeLoads implements LoadSource {
  /** What each thread says next. */
  readonly next = new Map<string, ClusterLoad[]>();
  readonly asked: string[] = [];
  /** Set: threads named here answer when {@link answerLate} is called. */
  readonly late = new Set<string>();
  private readonly waiting: (() => void)[] = [];

  async latch(clusters: readonly string[], perEndpoint: boolean, take: TakeLoads): Promise<void> {
    this.asked.push(`${clusters.join(' ')}${perEndpoint ? ' +endpoints' : ''}`);
    for (const [from, loads] of this.next) {
      const answer = loads.filter(({ name }) => clusters.includes(name));
      this.next.set(from, []);
      if (this.late.has(from)) this.waiting.push(() => take(from, answer));
      else take(from, answer);
    }
  }

  answerLate(): void {
    for (const answer of this.waiting.splice(0)) answer();
  }
}

/** Numbers of one locality: `issued/success/error/active`. */
export function locality(zone: string, numbers: string, over: Partial<LocalityLoad> = {}): LocalityLoad {
  const [issued = 0, success = 0, error = 0, active = 0] = numbers.split('/').map(Number);
  const place = { region: '', zone, subZone: '' };
  return {
    locality: place,
    priority: 0,
    issued,
    success,
    error,
    active,
    metrics: [],
    endpoints: [],
    ...over,
  };
}

export function load(name: string, ...localities: LocalityLoad[]): ClusterLoad {
  return { name, dropped: 0, overloads: [], localities };
}

export class Rig {
  readonly context = testContext();
  readonly grpc = new FakeGrpc();
  readonly loads = new FakeLoads();
  readonly names = new Set(['web', 'api']);
  readonly reporter;

  constructor(config: object = CONFIG) {
    const { names } = this;
    const clusters: KnownClusters = {
      names,
      has: (name) => names.has(name),
      serviceName: (name) => (name === 'api' ? 'api-endpoints' : ''),
    };
    this.reporter = createLoadReporter({
      context: this.context,
      grpc: this.grpc,
      node: create(NodeSchema, { id: 'me', cluster: 'us', clientFeatures: ['other'] }),
      config: readLoose(ApiConfigSourceSchema, config) as never,
      clusters,
      loads: this.loads,
    });
  }

  get stream(): FakeStream {
    const { stream } = this.grpc;
    if (stream === undefined) throw new Error('there is no stream');
    return stream;
  }

  /** Time passes, and promises settle. */
  async advance(ms: number): Promise<void> {
    await this.context.clock.advanceAsync(ms);
  }

  /** What was sent since the last call, as JSON without node. */
  take(): unknown[] {
    return this.stream.sent.splice(0).map((request) => {
      const { node: _, ...rest } = toJson(LoadStatsRequestSchema, request) as Record<string, unknown>;
      return rest;
    });
  }

  stats(): Record<string, number> {
    const names = ['requests', 'responses', 'errors', 'retries'];
    return Object.fromEntries(names.map((name) => [name, this.context.stats.value(`load_reporter.${name}`)]));
  }
}
