export { grpcWeb } from './extension.ts';
