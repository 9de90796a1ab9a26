export { grpcStats } from './extension.ts';
