import type {
  DeltaDiscoveryRequest,
  DeltaDiscoveryResponse,
  DiscoveryRequest,
  DiscoveryResponse,
  Node,
  Status,
} from '@dragoman/api';
import type { XdsError } from './errors.ts';

/** Who is at the other end, as far as the transport knows. */
export interface Peer {
  /** As the transport prints it, `127.0.0.1:40312` for gRPC. */
  readonly address: string;
  /** A header of the request; undefined when it was not sent. Binary ones (`-bin`) in base64. */
  header(name: string): string | undefined;
  /** The client's certificate in DER, when the transport asked for one and checked it. */
  readonly certificate?: Uint8Array;
}

/** One stream of a client. */
export interface StreamInfo {
  /** Counts up from 1. */
  readonly id: number;
  /** `sotw`: state of the world; `delta`: incremental. */
  readonly protocol: 'sotw' | 'delta';
  /** Undefined for an aggregated stream. */
  readonly typeUrl: string | undefined;
  readonly peer: Peer;
  /** Of the first request; undefined before that. */
  readonly node: Node | undefined;
}

/** A client's word on a response. */
export interface Acknowledgement {
  readonly typeUrl: string;
  /** `version_info`, or `system_version_info`, of the response that it is about. */
  readonly version: string;
  readonly nonce: string;
}

export interface Rejection extends Acknowledgement {
  /** `error_detail`: what the client did not like. */
  readonly error: Status;
}

/**
 * What happens on streams. Callbacks run between a message and the next, so they have to be quick. One that throws ends
 * its stream: with the status of an `XdsError`, with INTERNAL for anything else (see `onError`).
 */
export interface XdsCallbacks {
  /** May refuse a client by its peer. A promise holds the stream's requests until it settles. */
  readonly onStreamOpen?: (stream: StreamInfo) => void | Promise<void>;
  /** @param error why the server ended it; undefined when the client did, or the server closed */
  readonly onStreamClosed?: (stream: StreamInfo, error: XdsError | undefined) => void;
  /** Before a request is looked at. May refuse a client by its node. */
  readonly onRequest?: (stream: StreamInfo, request: DiscoveryRequest | DeltaDiscoveryRequest) => void;
  /** Before a response is sent. Its resources are shared with other streams: look only. */
  readonly onResponse?: (stream: StreamInfo, response: DiscoveryResponse | DeltaDiscoveryResponse) => void;
  readonly onAck?: (stream: StreamInfo, ack: Acknowledgement) => void;
  readonly onNack?: (stream: StreamInfo, nack: Rejection) => void;
  /** A single request, by REST or a unary call; before it is looked at. Throws an `XdsError` to refuse it. */
  readonly onFetch?: (request: DiscoveryRequest, peer: Peer) => void | Promise<void>;
  /** Hears of errors that are no `XdsError`: bugs of callbacks and caches. Clients are told nothing but INTERNAL. */
  readonly onError?: (error: unknown) => void;
}
