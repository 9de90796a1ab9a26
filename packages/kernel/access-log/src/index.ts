export {
  createFormatterFactory,
  DEFAULT_FORMAT,
  type FormatterConfig,
  type FormatterFactoryOptions,
} from './factory.ts';
export { type AccessLogFilterContext, createAccessLogFilter } from './filter.ts';
export type { FileSystem } from './file-system.ts';
export { createLogFiles, type LogFilesImpl, type LogFilesOptions } from './log-files.ts';
export { OPERATOR_NAMES } from './parse.ts';
