import type {
  ControlPlane,
  DeltaDiscoveryRequest,
  DeltaDiscoveryResponse,
  DiscoveryRequest,
  DiscoveryResponse,
  Node,
} from '@dragoman/api';
import type { Clock } from '@dragoman/core';
import type { XdsCache } from './cache.ts';
import type { Peer, StreamInfo, XdsCallbacks } from './callbacks.ts';
import { asXdsError, XdsError } from './errors.ts';
import { placeOf } from './kinds.ts';
import { NameBudget, type XdsLimits } from './limits.ts';
import { checkLength, type TypeContext, type TypeState, type TypeStatus } from './type-state.ts';

/** The other end of a stream, as a transport gives it. */
export interface StreamSink<Out> {
  /** Sends a message. False: it is taken, but no more until `drained()` is called. */
  write(message: Out): boolean;
  /** The last call: the stream is over, with an error or without. */
  end(error: XdsError | undefined): void;
}

export interface StreamContext {
  readonly cache: XdsCache;
  readonly callbacks: XdsCallbacks;
  readonly limits: XdsLimits;
  readonly clock: Clock;
  readonly controlPlane: ControlPlane | undefined;
  /** Called once. */
  closed(): void;
}

export interface StreamSettings {
  readonly id: number;
  /** Undefined for an aggregated stream. */
  readonly typeUrl: string | undefined;
  readonly peer: Peer;
}

type Request = DiscoveryRequest | DeltaDiscoveryRequest;
type Response = DiscoveryResponse | DeltaDiscoveryResponse;

/**
 * One stream of either protocol, whatever carries it. Requests go in with {@link receive}, responses come out at the sink. It holds no
 * queue: a response is made when the sink can take it, from what the cache has then, so that a slow client gets
 * the newest state and not every state in between. Nothing that a client sends makes a method throw.
 */
export class XdsStream<In extends Request = Request, Out extends Response = Response> implements StreamInfo {
  readonly id: number;
  readonly protocol: 'sotw' | 'delta';
  readonly typeUrl: string | undefined;
  readonly peer: Peer;
  /** Settles when `onStreamOpen` has; undefined when that was at once. A transport may leave requests unread until then. */
  readonly opening: Promise<void> | undefined;
  readonly #context: StreamContext;
  readonly #sink: StreamSink<Out>;
  readonly #makeState: (context: TypeContext) => TypeState<In, Out>;
  /** In the order of answers. */
  #types: TypeEntry<In, Out>[] = [];
  readonly #budget: NameBudget;
  #node: Node | undefined;
  #early: In[] | undefined;
  #nonce = 0;
  #blocked = false;
  #scheduled = false;
  #closed = false;

  constructor(
    protocol: 'sotw' | 'delta',
    makeState: (context: TypeContext) => TypeState<In, Out>,
    sink: StreamSink<Out>,
    settings: StreamSettings,
    context: StreamContext,
  ) {
    this.protocol = protocol;
    this.#makeState = makeState;
    this.#sink = sink;
    this.id = settings.id;
    this.typeUrl = settings.typeUrl;
    this.peer = settings.peer;
    this.#context = context;
    this.#budget = new NameBudget(context.limits);
    this.opening = this.#open();
  }

  get node(): Node | undefined {
    return this.#node;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Where the client stands, by type. */
  status(): readonly TypeStatus[] {
    return this.#types.map(({ state }) => state.status());
  }

  /** A request came. */
  receive(request: In): void {
    if (this.#closed) return;
    if (this.#early === undefined) {
      this.#guard(() => this.#take(request));
    } else if (this.#early.length < this.#context.limits.earlyRequests) {
      this.#early.push(request);
    } else {
      this.#fail(new XdsError('RESOURCE_EXHAUSTED', 'too many requests before the stream was accepted'));
    }
  }

  /** The sink takes messages again. */
  drained(): void {
    this.#blocked = false;
    this.#schedule();
  }

  /** Ends the stream from this side, with an error or without. */
  end(error?: XdsError): void {
    if (this.#closed) return;
    this.#finish(error);
    this.#sink.end(error);
  }

  /** The client, or its connection, is gone: nothing more is sent. */
  close(): void {
    if (!this.#closed) this.#finish(undefined);
  }

  #open(): Promise<void> | undefined {
    let opened: void | Promise<void>;
    try {
      opened = this.#context.callbacks.onStreamOpen?.(this);
    } catch (error) {
      // The transport knows the stream only when it has been made.
      opened = Promise.reject(error);
    }
    if (opened === undefined) return undefined;
    this.#early = [];
    return opened.then(
      () => {
        const early = this.#early ?? [];
        this.#early = undefined;
        for (const request of early) this.receive(request);
      },
      (error: unknown) => this.#fail(error),
    );
  }

  #take(request: In): void {
    this.#node ??= this.#identify(request.node);
    const typeUrl = this.#typeOf(request);
    this.#context.callbacks.onRequest?.(this, request);
    if (this.#closed) return;
    const entry = this.#types.find((one) => one.typeUrl === typeUrl) ?? this.#addType(typeUrl, this.#node);
    entry.state.receive(request);
    entry.dirty = true;
    this.#schedule();
  }

  /** Of the first request only: what it says is what the client was let in for. */
  #identify(node: Node | undefined): Node {
    if (node === undefined)
      throw new XdsError(
        'INVALID_ARGUMENT',
        'the first request of a stream has to say which node it is from',
      );
    checkLength(node.id, 'the node id', this.#context.limits);
    return node;
  }

  #typeOf(request: In): string {
    const own = this.typeUrl;
    if (hasLocators(request))
      throw new XdsError('UNIMPLEMENTED', 'resource locators are not supported, use resource names');
    if (own !== undefined) {
      if (request.typeUrl === '' || request.typeUrl === own) return own;
      throw new XdsError('INVALID_ARGUMENT', `this service has resources of type ${own} only`);
    }
    if (request.typeUrl === '')
      throw new XdsError('INVALID_ARGUMENT', 'type_url is required on an aggregated stream');
    checkLength(request.typeUrl, 'type_url', this.#context.limits);
    return request.typeUrl;
  }

  #addType(typeUrl: string, node: Node): TypeEntry<In, Out> {
    const { cache, clock, limits, callbacks } = this.#context;
    if (this.#types.length >= limits.typesPerStream)
      throw new XdsError('RESOURCE_EXHAUSTED', `more than ${limits.typesPerStream} types on one stream`);
    let entry: TypeEntry<In, Out> | undefined;
    const wake = (): void => {
      if (entry !== undefined) entry.dirty = true; // else its first request is being read, which asks anyhow
      this.#schedule();
    };
    const subscription = cache.open({ node, typeUrl, wake });
    const state = this.#makeState({
      typeUrl,
      node,
      subscription,
      clock,
      limits,
      budget: this.#budget,
      wake,
      onAck: (ack) => callbacks.onAck?.(this, ack),
      onNack: (nack) => callbacks.onNack?.(this, nack),
    });
    entry = { typeUrl, place: placeOf(typeUrl), state, dirty: false };
    this.#types = [...this.#types, entry].sort((a, b) => a.place - b.place);
    return entry;
  }

  /** Not at once: several caches may change before the first answer, which then is of the first type in order. */
  #schedule(): void {
    if (this.#scheduled || this.#closed || this.#blocked) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#guard(() => this.#pump());
    });
  }

  #pump(): void {
    while (!this.#closed && !this.#blocked) {
      const entry = this.#types.find(({ dirty }) => dirty);
      if (entry === undefined) return;
      const response = entry.state.answer(String(this.#nonce + 1));
      if (response === undefined) {
        entry.dirty = false;
        continue;
      }
      this.#nonce++;
      this.#send(response);
    }
  }

  #send(response: Out): void {
    const { controlPlane, callbacks } = this.#context;
    response.controlPlane = controlPlane;
    callbacks.onResponse?.(this, response);
    if (!this.#closed) this.#blocked = !this.#sink.write(response);
  }

  #guard(action: () => void): void {
    if (this.#closed) return;
    try {
      action();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.#report(error);
    this.end(asXdsError(error));
  }

  #finish(error: XdsError | undefined): void {
    this.#closed = true;
    this.#early = undefined;
    const types = this.#types;
    this.#types = [];
    const { callbacks, closed } = this.#context;
    for (const action of [
      ...types.map(
        ({ state }) =>
          () =>
            state.close(),
      ),
      closed,
      () => callbacks.onStreamClosed?.(this, error),
    ]) {
      try {
        action();
      } catch (problem) {
        this.#report(problem);
      }
    }
  }

  #report(error: unknown): void {
    if (error instanceof XdsError) return;
    try {
      this.#context.callbacks.onError?.(error);
    } catch {
      // Whoever is told of errors has no one to tell of its own.
    }
  }
}

interface TypeEntry<In, Out> {
  readonly typeUrl: string;
  readonly place: number;
  readonly state: TypeState<In, Out>;
  /** There may be something to answer. */
  dirty: boolean;
}

function hasLocators(request: Request): boolean {
  if (request.$typeName === 'envoy.service.discovery.v3.DiscoveryRequest')
    return request.resourceLocators.length > 0;
  return request.resourceLocatorsSubscribe.length > 0 || request.resourceLocatorsUnsubscribe.length > 0;
}
