export { dynamicForwardProxyCluster } from './dynamic-forward-proxy.ts';
