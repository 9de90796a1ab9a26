export {
  createFormatterFactory,
  DEFAULT_FORMAT,
  type FormatterConfig,
  type FormatterFactoryOptions,
} from './factory.ts';
export type { FileSystem } from './file-system.ts';
export { type AccessLogFilterContext, createAccessLogFilter } from './filter.ts';
export type { SharedLogFile } from './log-file.ts';
export { createLogFiles, type LogFilesImpl, type LogFilesOptions } from './log-files.ts';
export { type LogRelayAnswer, LogRelayClient, type LogRelayMessage } from './log-relay.ts';
export { LogRelayServer } from './log-relay-server.ts';
export { OPERATOR_NAMES } from './parse.ts';
