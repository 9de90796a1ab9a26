import {
  type ControlPlane,
  ControlPlaneSchema,
  create,
  type DeltaDiscoveryRequest,
  type DeltaDiscoveryResponse,
  type DiscoveryRequest,
  type DiscoveryResponse,
} from '@dragoman/api';
import { type Clock, systemClock } from '@dragoman/core';
import type { XdsCache } from './cache.ts';
import type { Peer, XdsCallbacks } from './callbacks.ts';
import { DeltaState } from './delta-state.ts';
import { asXdsError, XdsError } from './errors.ts';
import { fetchOnce } from './fetch.ts';
import { DEFAULT_LIMITS, type XdsLimits } from './limits.ts';
import { SotwState } from './sotw-state.ts';
import { type StreamContext, type StreamSink, XdsStream } from './stream.ts';

export interface XdsProtocolOptions {
  readonly cache: XdsCache;
  readonly callbacks?: XdsCallbacks;
  readonly limits?: Partial<XdsLimits>;
  /** `control_plane.identifier` of responses, for people who read dumps. Default: none. */
  readonly controlPlane?: string;
  /** Times heartbeats. Default: the system's. */
  readonly clock?: Clock;
}

export interface StreamOptions {
  /** The one type of the stream. Default: any, aggregated. */
  readonly typeUrl?: string;
  readonly peer?: Peer;
}

export type SotwStream = XdsStream<DiscoveryRequest, DiscoveryResponse>;
export type DeltaStream = XdsStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;

/** A peer that nothing is known of. */
const NOBODY: Peer = { address: '', header: () => undefined };

/** The protocol without a transport: messages in, messages out. `createXdsServer` puts gRPC and HTTP around it. */
export class XdsProtocol {
  readonly limits: XdsLimits;
  readonly #cache: XdsCache;
  readonly #callbacks: XdsCallbacks;
  readonly #clock: Clock;
  readonly #controlPlane: ControlPlane | undefined;
  readonly #streams = new Set<SotwStream | DeltaStream>();
  #lastId = 0;

  constructor({
    cache,
    callbacks = {},
    limits = {},
    controlPlane = '',
    clock = systemClock,
  }: XdsProtocolOptions) {
    this.#cache = cache;
    this.#callbacks = callbacks;
    this.limits = { ...DEFAULT_LIMITS, ...limits };
    this.#controlPlane =
      controlPlane === '' ? undefined : create(ControlPlaneSchema, { identifier: controlPlane });
    this.#clock = clock;
  }

  /** Streams that are open. */
  get streams(): Iterable<SotwStream | DeltaStream> {
    return this.#streams.values();
  }

  /** A stream of the state-of-the-world protocol. @throws XdsError when there are too many streams */
  openSotw(sink: StreamSink<DiscoveryResponse>, options: StreamOptions = {}): SotwStream {
    return this.#open(
      (settings, context) => new XdsStream('sotw', (type) => new SotwState(type), sink, settings, context),
      options,
    );
  }

  /** A stream of the delta protocol. @throws XdsError when there are too many streams */
  openDelta(sink: StreamSink<DeltaDiscoveryResponse>, options: StreamOptions = {}): DeltaStream {
    return this.#open(
      (settings, context) => new XdsStream('delta', (type) => new DeltaState(type), sink, settings, context),
      options,
    );
  }

  /** One request, one response. Rejects with an XdsError and nothing else. */
  async fetch(request: DiscoveryRequest, typeUrl: string, peer: Peer = NOBODY): Promise<DiscoveryResponse> {
    try {
      await this.#callbacks.onFetch?.(request, peer);
      return fetchOnce(request, typeUrl, this.#cache, this.limits);
    } catch (error) {
      if (!(error instanceof XdsError)) this.#report(error);
      throw asXdsError(error);
    }
  }

  /** Ends all streams. */
  close(error?: XdsError): void {
    for (const stream of this.#streams) stream.end(error);
  }

  #open<S extends SotwStream | DeltaStream>(
    make: (settings: { id: number; typeUrl: string | undefined; peer: Peer }, context: StreamContext) => S,
    { typeUrl, peer = NOBODY }: StreamOptions,
  ): S {
    if (this.#streams.size >= this.limits.streams)
      throw new XdsError('RESOURCE_EXHAUSTED', 'the control plane has too many streams');
    const id = ++this.#lastId;
    const stream = make(
      { id, typeUrl, peer },
      {
        cache: this.#cache,
        callbacks: this.#callbacks,
        limits: this.limits,
        clock: this.#clock,
        controlPlane: this.#controlPlane,
        closed: () => this.#streams.delete(stream),
      },
    );
    this.#streams.add(stream);
    return stream;
  }

  #report(error: unknown): void {
    try {
      this.#callbacks.onError?.(error);
    } catch {
      // Whoever is told of errors has no one to tell of its own.
    }
  }
}
