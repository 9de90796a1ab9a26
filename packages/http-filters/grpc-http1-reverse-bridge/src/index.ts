export { grpcHttp1ReverseBridge } from './extension.ts';
