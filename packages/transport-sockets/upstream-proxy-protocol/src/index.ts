export { upstreamProxyProtocol } from './proxy-protocol.ts';
