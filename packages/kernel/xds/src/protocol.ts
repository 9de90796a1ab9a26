import type { Any, Node, Status } from '@dragoman/api';

export interface NameSet extends Iterable<string> {
  readonly size: number;
  has(name: string): boolean;
}

/** What the subscribers of one type want, together. Names in canonical form. */
export interface Interest {
  readonly wildcard: boolean;
  readonly names: NameSet;
}

/** A resource as it came, not yet read. */
export interface IncomingResource {
  /** Empty: it stands in the body. */
  readonly name: string;
  readonly aliases: readonly string[];
  readonly version: string;
  /** Undefined: it lives until it is removed. */
  readonly ttlMs: number | undefined;
  /** Undefined: none was sent, as in heartbeats. */
  readonly body: Any | undefined;
  /** Why it cannot be read. */
  readonly problem?: string | undefined;
}

/** A response of either protocol. */
export interface Incoming {
  readonly nonce: string;
  /** `version_info` or `system_version_info`. */
  readonly version: string;
  readonly resources: readonly IncomingResource[];
  readonly removed: readonly string[];
}

export interface AnyRequest {
  node?: Node | undefined;
}

/** One type's side of a conversation with a management server: which requests are due. It knows no sockets, no clocks and no resources. */
export interface Protocol<Q extends AnyRequest, R> {
  readonly stateOfTheWorld: boolean;
  /**
   * A new stream: nothing was said on it.
   * @param sameServer what the server was told and has sent before still means something
   */
  opened(sameServer: boolean): void;
  interestChanged(): void;
  /** Something that was taken over is in use no longer, though the server has not said so. */
  expired(): void;
  received(response: R): void;
  /** Several responses in the order in which they came, as one; more than one only for the state of the world. */
  read(responses: readonly R[], whole: boolean): Incoming;
  /** An update was taken over, or refused. */
  settled(incoming: Incoming, error: Status | undefined): void;
  /** As {@link settled}, after the stream that brought it has ended. */
  settledLate(incoming: Incoming, error: Status | undefined): void;
  /** An answer to a response is due. */
  readonly acksPending: number;
  /** A request is due, be it an answer or not. */
  readonly pending: boolean;
  /** The next request, which counts as sent; without node. */
  take(): Q;
}
