export { ActiveStream } from './connection-manager/active-stream.ts';
export type { ConnectionManagerConfig } from './connection-manager/config.ts';
export { compileConnectionManager, httpConnectionManager } from './connection-manager/extension.ts';
export {
  FilterPipeline,
  type PipelineSink,
  RequestPipeline,
  ResponsePipeline,
} from './connection-manager/filter-pipeline.ts';
export { HttpConnection } from './connection-manager/http-connection.ts';
export * from './explain/index.ts';
export { buildLocalReply } from './connection-manager/local-reply.ts';
export * from './headers/index.ts';
export * from './path/index.ts';
export * from './routes/index.ts';
export * from './upstream-filters/index.ts';
