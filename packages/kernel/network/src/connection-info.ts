import type { Address, ConnectionInfo, FilterChainInfo, FilterStateObject, TlsInfo } from '@dragoman/core';

let lastId = 0;

/** The next connection id: unique within this thread's process image, from 1. */
export function nextConnectionId(): number {
  return ++lastId;
}

/** What is known of a connection from its socket alone. */
export class SocketConnectionInfo implements ConnectionInfo {
  readonly id = nextConnectionId();
  localAddress: Address;
  localAddressRestored = false;
  readonly directRemoteAddress: Address;
  remoteAddress: Address;
  requestedServerName = '';
  applicationProtocols: readonly string[] = [];
  transportProtocol = '';
  tls: TlsInfo | undefined = undefined;
  negotiatedProtocol = '';
  handshakeComplete = 0;
  readonly startTime: number;
  transportFailureReason = '';
  terminationDetails = '';
  filterChain: FilterChainInfo | undefined = undefined;
  ja3Hash: string | undefined = undefined;
  ja4Hash: string | undefined = undefined;
  filterState: Map<string, FilterStateObject> | undefined = undefined;

  constructor(localAddress: Address, remoteAddress: Address, startTime: number) {
    this.localAddress = localAddress;
    this.directRemoteAddress = remoteAddress;
    this.remoteAddress = remoteAddress;
    this.startTime = startTime;
  }
}
