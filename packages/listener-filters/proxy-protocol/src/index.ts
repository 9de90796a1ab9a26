export { proxyProtocol } from './proxy-protocol.ts';
