import { Address } from './address.ts';
import type { ConnectionInfo } from './stream-info.ts';

/**
 * What stands for the downstream connection of a request that the proxy makes for itself: both ends are the proxy.
 * @param address an IP address, the local one of a node; empty: 127.0.0.1, as in Envoy
 * @param startTime wall time in ms
 * @throws as {@link Address.ip}
 */
export function ownConnection(address: string, startTime: number): ConnectionInfo {
  const own = Address.ip(address === '' ? '127.0.0.1' : address, 0);
  return {
    id: 0,
    localAddress: own,
    directRemoteAddress: own,
    remoteAddress: own,
    requestedServerName: '',
    applicationProtocols: [],
    transportProtocol: '',
    tls: undefined,
    negotiatedProtocol: '',
    handshakeComplete: 0,
    startTime,
    transportFailureReason: '',
    terminationDetails: '',
  };
}
