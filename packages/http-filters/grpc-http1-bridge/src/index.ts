export { grpcHttp1Bridge } from './extension.ts';
