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
  requestBytes: 4 * 1024 * 1024,
  deltaResponseBytes: 2 * 1024 * 1024,
  earlyRequests: 16,
});
