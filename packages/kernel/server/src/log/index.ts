export { LOG_COMPONENTS } from './components.ts';
export type { LogThread } from './entry.ts';
export { escapeControls } from './escape.ts';
export { compilePattern, DEFAULT_LOG_PATTERN, type PatternOptions } from './pattern.ts';
export { createServerLog, type ServerLog, type ServerLogOptions, silentServerLog } from './server-log.ts';
export type { LogFileSystem } from './sink.ts';
export { describeThrown } from './describe-thrown.ts';
export { Faults } from './faults.ts';
