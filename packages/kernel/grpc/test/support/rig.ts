import { type GrpcService, GrpcServiceSchema, readLoose } from '@dragoman/api';
import type { DescMessage, MessageShape } from '@bufbuild/protobuf';
import type {
  GrpcCallStatus,
  GrpcClient,
  GrpcClientFactory,
  GrpcClientOptions,
  GrpcStreamCallbacks,
  GrpcTargetClusters,
  GrpcUnaryCallbacks,
  HeaderMap,
  ResponseHeaders,
} from '@dragoman/core';
import { plainFormatters, type TestContext, testContext } from '@dragoman/testing';
import { createGrpcClientFactory } from '../../src/index.ts';
import { MemoryCluster, MemoryClusters } from './memory-cluster.ts';
import type { MemoryPool, MemoryStream } from './memory-pool.ts';

/** A client of cluster `authz`, in memory, on fake time. */
export class Rig {
  readonly context: TestContext;
  readonly clusters = new MemoryClusters();
  readonly cluster: MemoryCluster;
  readonly factory: GrpcClientFactory;
  readonly client: GrpcClient;

  constructor(config: object = {}, options: RigOptions = {}) {
    this.context = testContext({ formatters: plainFormatters(), ...options.context });
    this.cluster = new MemoryCluster('authz', this.context.stats);
    this.clusters.byName.set('authz', this.cluster);
    this.factory = createGrpcClientFactory({
      context: this.context,
      clusters: this.clusters,
      targets: options.targets,
    });
    this.client = this.factory.create(service(config), options.client);
  }

  get pool(): MemoryPool {
    return this.cluster.pool;
  }

  /** The stream that was opened last. */
  get upstream(): MemoryStream {
    return this.pool.last;
  }

  /** Stats of the cluster that have a value, without its prefix. */
  get counted(): Record<string, number> {
    const prefix = 'cluster.authz.';
    return Object.fromEntries(
      Object.entries(this.context.stats.used())
        .filter(([name]) => name.startsWith(prefix))
        .map(([name, value]) => [name.slice(prefix.length), value]),
    );
  }
}

export interface RigOptions {
  readonly context?: Partial<TestContext>;
  readonly client?: GrpcClientOptions;
  readonly targets?: GrpcTargetClusters;
}

/** A `GrpcService` to cluster `authz`, with what `config` says besides. */
export function service(config: object = {}): GrpcService {
  return readLoose(GrpcServiceSchema, {
    ...('google_grpc' in config ? {} : { envoy_grpc: { cluster_name: 'authz' } }),
    ...config,
  });
}

/** What came of a unary call, in the order in which it came. */
export class UnaryRecorder<O extends DescMessage> implements GrpcUnaryCallbacks<O> {
  readonly responses: MessageShape<O>[] = [];
  readonly failures: GrpcCallStatus[] = [];
  headers: ResponseHeaders | undefined = undefined;
  trailers: HeaderMap | undefined = undefined;

  onSuccess(response: MessageShape<O>, headers: ResponseHeaders, trailers: HeaderMap): void {
    this.responses.push(response);
    this.headers = headers;
    this.trailers = trailers;
  }

  onFailure(
    status: GrpcCallStatus,
    headers: ResponseHeaders | undefined,
    trailers: HeaderMap | undefined,
  ): void {
    this.failures.push(status);
    this.headers = headers;
    this.trailers = trailers;
  }

  /** How many times it was called. */
  get calls(): number {
    return this.responses.length + this.failures.length;
  }

  get failure(): GrpcCallStatus {
    if (this.failures.length !== 1) throw new Error(`${this.failures.length} failures, not one`);
    return this.failures[0];
  }
}

/** What came on a stream: `headers`, messages, `writable`, and how it ended. */
export class StreamRecorder<O extends DescMessage> implements GrpcStreamCallbacks<O> {
  readonly events: string[] = [];
  readonly messages: MessageShape<O>[] = [];
  readonly ends: GrpcCallStatus[] = [];
  trailers: HeaderMap | undefined = undefined;
  /** Run by the next message. */
  onNext: ((message: MessageShape<O>) => void) | undefined = undefined;

  onHeaders(): void {
    this.events.push('headers');
  }

  onMessage(message: MessageShape<O>): void {
    this.events.push('message');
    this.messages.push(message);
    const { onNext } = this;
    this.onNext = undefined;
    onNext?.(message);
  }

  onWritable(): void {
    this.events.push('writable');
  }

  onEnd(status: GrpcCallStatus, trailers: HeaderMap | undefined): void {
    this.events.push(`end ${status.code}`);
    this.ends.push(status);
    this.trailers = trailers;
  }

  get end(): GrpcCallStatus {
    if (this.ends.length !== 1) throw new Error(`${this.ends.length} ends, not one`);
    return this.ends[0];
  }
}
