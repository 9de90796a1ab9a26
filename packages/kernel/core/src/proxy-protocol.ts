import type { Address } from './address.ts';
import type { FilterStateObject } from './stream-info.ts';

/** The filter state key under which a connection's {@link ProxyProtocolState} is found (Envoy's). */
export const PROXY_PROTOCOL_STATE = 'envoy.network.proxy_protocol_options';

/** A type-length-value field of a PROXY protocol v2 header. */
export interface ProxyProtocolTlv {
  /** 0 … 255. */
  readonly type: number;
  readonly value: Buffer;
}

/** What the PROXY protocol header of a downstream connection said, for who writes one upstream. */
export class ProxyProtocolState implements FilterStateObject {
  readonly lifeSpan = 'request';
  readonly version: 1 | 2;
  /** The addresses in the header, or the socket's where it names none (LOCAL, UNKNOWN). */
  readonly remoteAddress: Address;
  readonly localAddress: Address;
  /** Those that `pass_through_tlvs` lets through. */
  readonly tlvs: readonly ProxyProtocolTlv[];

  constructor(
    version: 1 | 2,
    remoteAddress: Address,
    localAddress: Address,
    tlvs: readonly ProxyProtocolTlv[],
  ) {
    this.version = version;
    this.remoteAddress = remoteAddress;
    this.localAddress = localAddress;
    this.tlvs = tlvs;
  }
}
