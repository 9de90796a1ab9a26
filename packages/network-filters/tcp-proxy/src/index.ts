export { tcpProxy } from './extension.ts';
