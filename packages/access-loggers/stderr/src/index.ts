export { stderrAccessLogger } from './logger.ts';
