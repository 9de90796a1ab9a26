export { stdoutAccessLogger } from './logger.ts';
