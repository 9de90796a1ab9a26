export { healthCheck } from './extension.ts';
