export { type GrpcCall, grpcCallOf } from './grpc-call.ts';
export { type CallStats, GrpcCallStats, type GrpcCallStatsOptions, MAX_CALL_NAMES } from './call-stats.ts';
export { clusterOfStream } from './stream-cluster.ts';
