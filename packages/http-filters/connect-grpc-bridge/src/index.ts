export { connectGrpcBridge } from './extension.ts';
