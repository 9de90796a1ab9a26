export { fileAccessLogger } from './logger.ts';
