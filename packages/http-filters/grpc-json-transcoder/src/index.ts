export { grpcJsonTranscoder } from './filter.ts';
