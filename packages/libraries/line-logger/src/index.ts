export { type LineFormat, readLineFormat } from './line-format.ts';
export { createLineLogger } from './line-logger.ts';
