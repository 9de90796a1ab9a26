import type { DescMessage, DescMethodStreaming, DescMethodUnary, MessageShape } from '@bufbuild/protobuf';
import type {
  GrpcCall,
  GrpcCallOptions,
  GrpcClient,
  GrpcReconnectCallbacks,
  GrpcReconnectingStream,
  GrpcReconnectOptions,
  GrpcResult,
  GrpcStream,
  GrpcStreamCallbacks,
  GrpcStreamOptions,
  GrpcUnaryCallbacks,
} from '@dragoman/core';
import { GrpcStatus } from '@dragoman/grpc-frames';
import { NO_OPTIONS } from './call-state.ts';
import type { ClientCore } from './client-core.ts';
import { ReconnectingStream } from './reconnecting-stream.ts';
import { localStatus } from './status.ts';
import { StreamCall } from './stream-call.ts';
import { UnaryCall } from './unary-call.ts';

const NO_RECONNECT_OPTIONS: GrpcReconnectOptions = {};

/** What a path is made of. */
interface NamedMethod {
  readonly name: string;
  readonly parent: { readonly typeName: string };
}

/** The calls of one service's config. */
export class ServiceClient implements GrpcClient {
  private readonly core: ClientCore;
  /** Paths by method: there are few, and each call needs one. */
  private readonly paths = new Map<NamedMethod, string>();

  constructor(core: ClientCore) {
    this.core = core;
  }

  get destination(): string {
    return this.core.settings.destination;
  }

  get timeoutMs(): number | undefined {
    return this.core.settings.timeoutMs;
  }

  unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageShape<I>,
    options: GrpcCallOptions | undefined,
    callbacks: GrpcUnaryCallbacks<O>,
  ): GrpcCall {
    const call = new UnaryCall(
      this.core,
      this.pathOf(method),
      method.output,
      options ?? NO_OPTIONS,
      callbacks,
    );
    call.start(method.input, request);
    return call;
  }

  unaryPromise<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageShape<I>,
    options?: GrpcCallOptions & { readonly signal?: AbortSignal | undefined },
  ): Promise<GrpcResult<O>> {
    const signal = options?.signal;
    if (signal?.aborted === true) return Promise.resolve(cancelled());
    return new Promise((resolve) => {
      const settle = (result: GrpcResult<O>): void => {
        signal?.removeEventListener('abort', onAbort);
        resolve(result);
      };
      const onAbort = (): void => {
        call.cancel();
        settle(cancelled());
      };
      // Before the call: it may be over when `unary` returns.
      signal?.addEventListener('abort', onAbort);
      const call = this.unary(method, request, options, {
        onSuccess: (response, headers, trailers) =>
          settle({ ok: true, status: OK, response, headers, trailers }),
        onFailure: (status, headers, trailers) => settle({ ok: false, status, headers, trailers }),
      });
    });
  }

  stream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodStreaming<I, O>,
    options: GrpcStreamOptions | undefined,
    callbacks: GrpcStreamCallbacks<O>,
  ): GrpcStream<I> {
    const stream = new StreamCall(
      this.core,
      this.pathOf(method),
      method.input,
      method.output,
      options ?? NO_OPTIONS,
      callbacks,
    );
    stream.start();
    return stream;
  }

  reconnectingStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodStreaming<I, O>,
    options: GrpcReconnectOptions | undefined,
    callbacks: GrpcReconnectCallbacks<I, O>,
  ): GrpcReconnectingStream<I> {
    const { core } = this;
    const path = this.pathOf(method);
    const own = options ?? NO_RECONNECT_OPTIONS;
    const range = own.backOff ?? core.settings.reconnect;
    const stream = new ReconnectingStream<I, O>(
      core,
      range,
      callbacks,
      (relay, onCancelled) =>
        new StreamCall(core, path, method.input, method.output, own, relay, onCancelled),
    );
    stream.open();
    return stream;
  }

  private pathOf(method: NamedMethod): string {
    let path = this.paths.get(method);
    if (path === undefined) {
      path = `/${method.parent.typeName}/${method.name}`;
      this.paths.set(method, path);
    }
    return path;
  }
}

const OK = localStatus(GrpcStatus.OK, '', 'via_upstream');

function cancelled<O extends DescMessage>(): GrpcResult<O> {
  return {
    ok: false,
    status: localStatus(GrpcStatus.CANCELLED, 'cancelled', 'grpc_cancelled'),
    headers: undefined,
    trailers: undefined,
  };
}
