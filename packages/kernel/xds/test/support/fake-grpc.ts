import type { DescMessage, DescMethodStreaming, MessageShape } from '@bufbuild/protobuf';
import {
  type DeltaDiscoveryRequest,
  type DiscoveryRequest,
  fromBinary,
  type GrpcService,
  toBinary,
} from '@dragoman/api';
import { ConfigError } from '@dragoman/core';
import type {
  GrpcClient,
  GrpcClientFactory,
  GrpcReconnectCallbacks,
  GrpcReconnectingStream,
} from '@dragoman/core';

type AnyRequest = DiscoveryRequest | DeltaDiscoveryRequest;

/** Streams that a test plays the servers of. Everything sent is written and read, as on a real one. */
export class FakeGrpc implements GrpcClientFactory {
  readonly streams: FakeStream[] = [];
  /** Clusters whose streams fail at once. */
  readonly down = new Set<string>();
  /** Set while streams wait for a test to open them. */
  manual = false;

  create(config: unknown): GrpcClient {
    const { targetSpecifier } = config as GrpcService;
    if (targetSpecifier.case !== 'envoyGrpc') throw ConfigError.at('', 'needs envoy_grpc');
    const destination = targetSpecifier.value.clusterName;
    const reconnectingStream = <I extends DescMessage, O extends DescMessage>(
      method: DescMethodStreaming<I, O>,
      _: unknown,
      callbacks: GrpcReconnectCallbacks<I, O>,
    ): GrpcReconnectingStream<I> => {
      const stream = new FakeStream(this, destination, method, callbacks as never);
      this.streams.push(stream);
      if (!this.manual) stream.open();
      return stream as unknown as GrpcReconnectingStream<I>;
    };
    return { destination, timeoutMs: undefined, reconnectingStream } as unknown as GrpcClient;
  }

  compileRetryPolicy(): never {
    throw new Error('no retries here');
  }

  /** The stream that was begun last. */
  get last(): FakeStream {
    const stream = this.streams.at(-1);
    if (stream === undefined) throw new Error('there is no stream');
    return stream;
  }
}

export class FakeStream {
  readonly method: string;
  readonly destination: string;
  readonly requests: AnyRequest[] = [];
  isOpen = false;
  closed = false;
  /** How reading was stopped (true) and went on (false). */
  readonly pauses: boolean[] = [];
  /** The connection takes no more. */
  full = false;
  private readonly owner: FakeGrpc;
  private readonly desc: DescMethodStreaming<DescMessage, DescMessage>;
  private readonly callbacks: GrpcReconnectCallbacks<DescMessage, DescMessage>;

  constructor(
    owner: FakeGrpc,
    destination: string,
    desc: DescMethodStreaming<DescMessage, DescMessage>,
    callbacks: GrpcReconnectCallbacks<DescMessage, DescMessage>,
  ) {
    this.owner = owner;
    this.destination = destination;
    this.method = `${desc.parent.name}.${desc.name}`;
    this.desc = desc;
    this.callbacks = callbacks;
  }

  open(): void {
    if (this.owner.down.has(this.destination)) {
      this.end(14);
      return;
    }
    this.isOpen = true;
    this.pauses.length = 0;
    this.callbacks.onOpen(this as never);
  }

  end(code: number): void {
    this.isOpen = false;
    const status = { code, message: 'test', details: '', statusDetails: undefined };
    this.callbacks.onEnd(status, 0, undefined);
  }

  message(message: MessageShape<DescMessage>): void {
    if (this.closed) throw new Error('the stream is closed');
    this.callbacks.onMessage(fromBinary(this.desc.output, toBinary(this.desc.output, message)));
  }

  drain(): void {
    this.full = false;
    this.callbacks.onWritable?.();
  }

  /** What has been sent since the last call. */
  take(): AnyRequest[] {
    return this.requests.splice(0);
  }

  // --- GrpcStream and GrpcReconnectingStream ----------------------------------------------------------------------------------

  get writable(): boolean {
    return this.isOpen && !this.full;
  }

  send(request: AnyRequest): boolean {
    if (!this.isOpen) throw new Error('sent on a stream that is not open');
    this.requests.push(fromBinary(this.desc.input, toBinary(this.desc.input, request)) as AnyRequest);
    return !this.full;
  }

  pause(): void {
    this.pauses.push(true);
  }

  resume(): void {
    this.pauses.push(false);
  }

  close(): void {
    this.closed = true;
    this.isOpen = false;
  }
}
