export { ringHash } from './ring-hash.ts';
