export type { AnswerRules, CacheSubscriber, CacheSubscription, Interest, XdsCache } from './cache.ts';
export type { Acknowledgement, Peer, Rejection, StreamInfo, XdsCallbacks } from './callbacks.ts';
export { type StatusName, XdsError } from './errors.ts';
export { addXdsServices } from './grpc-service.ts';
export { KIND_NAMES, KINDS, type KindName, kindOf, type ResourceKind, typeUrlOf } from './kinds.ts';
export { DEFAULT_LIMITS, type XdsLimits } from './limits.ts';
export { LinearCache, type LinearCacheOptions } from './linear-cache.ts';
export { MuxCache, type MuxCacheOptions } from './mux-cache.ts';
export { type MissingResources, type OnDemandOptions, onDemand } from './on-demand.ts';
export {
  type DeltaStream,
  type SotwStream,
  type StreamOptions,
  XdsProtocol,
  type XdsProtocolOptions,
} from './protocol.ts';
export type { SnapshotProblem } from './references.ts';
export {
  type ResourceInput,
  type ResourceOptions,
  resource,
  resourceOfAny,
  virtualHost,
  XdsResource,
} from './resource.ts';
export { ResourceSet, type ResourceView } from './resource-set.ts';
export { restHandler } from './rest.ts';
export { createXdsServer, type ListenOptions, type XdsServer, type XdsServerOptions } from './server.ts';
export {
  Snapshot,
  type SnapshotParts,
  type SnapshotVersion,
  snapshot,
  snapshotFrom,
} from './snapshot.ts';
export { type NodeStatus, SnapshotCache, type SnapshotCacheOptions } from './snapshot-cache.ts';
export { type StreamSink, XdsStream } from './stream.ts';
export type { TypeStatus } from './type-state.ts';
