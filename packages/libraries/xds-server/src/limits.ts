import { XdsError } from './errors.ts';

/** What clients can make a server keep. Beyond a limit the stream ends with RESOURCE_EXHAUSTED. */
export interface XdsLimits {
  /** Streams at one time. Default 10,000. */
  readonly streams: number;
  /** Types on one aggregated stream. Default 64. */
  readonly typesPerStream: number;
  /** Names that a stream subscribes to, or says it has (`initial_resource_versions`), for each type. Default 100,000. */
  readonly namesPerType: number;
  /** UTF-16 units of a name, a type URL or a node id. Default 4,096. */
  readonly nameLength: number;
  /** What the names of a stream may take together: for each its characters, and 64. Default 32 MiB. */
  readonly nameBytesPerStream: number;
  /** Bytes of a request. Default 4 MiB. */
  readonly requestBytes: number;
  /**
   * Bytes of resources in a response of the delta protocol; more go into the next one. A resource that is larger goes
   * alone. Default 2 MiB: gRPC clients take 4 MiB unless they are told otherwise. The state-of-the-world protocol cannot split.
   */
  readonly deltaResponseBytes: number;
  /** Requests that wait while `onStreamOpen` has not settled. Default 16. */
  readonly earlyRequests: number;
}

export const DEFAULT_LIMITS: XdsLimits = Object.freeze({
  streams: 10_000,
  typesPerStream: 64,
  namesPerType: 100_000,
  nameLength: 4096,
  nameBytesPerStream: 32 * 1024 * 1024,
  requestBytes: 4 * 1024 * 1024,
  deltaResponseBytes: 2 * 1024 * 1024,
  earlyRequests: 16,
});

/** What is left to the names of a stream. */
export class NameBudget {
  #left: number;

  constructor({ nameBytesPerStream }: XdsLimits) {
    this.#left = nameBytesPerStream;
  }

  /** @throws XdsError when there is not enough left */
  take(name: string): void {
    this.#left -= name.length + OVERHEAD;
    if (this.#left < 0)
      throw new XdsError('RESOURCE_EXHAUSTED', 'the names of this stream take too much memory');
  }

  give(name: string): void {
    this.#left += name.length + OVERHEAD;
  }
}

/** Entries in sets and maps. */
const OVERHEAD = 64;
