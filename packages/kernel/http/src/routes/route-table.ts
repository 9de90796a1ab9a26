import {
  type RequestHeaders,
  type Route,
  type RouteTable,
  type StreamInfo,
  wellKnownId,
} from '@dragoman/core';
import type { DomainTable } from './domains.ts';
import type { VirtualHostRoutes } from './virtual-host.ts';
import { WeightedRoutes } from './weighted-clusters.ts';

const ID_XFP = wellKnownId('x-forwarded-proto');
const ID_INTERNAL = wellKnownId('x-envoy-internal');

/** A compiled `RouteConfiguration`. */
export class CompiledRouteTable implements RouteTable {
  readonly name: string;
  /** `internal_only_headers`, in lower case: requests from outside lose them. */
  readonly internalOnlyHeaders: readonly string[];
  private readonly domains: DomainTable<VirtualHostRoutes>;
  /** `vhost_header`, in lower case; empty: `:authority` counts. */
  private readonly hostHeader: string;

  constructor(
    name: string,
    domains: DomainTable<VirtualHostRoutes>,
    internalOnlyHeaders: readonly string[],
    hostHeader = '',
  ) {
    this.name = name;
    this.domains = domains;
    this.internalOnlyHeaders = internalOnlyHeaders;
    this.hostHeader = hostHeader;
  }

  match(headers: RequestHeaders, info: StreamInfo, random: number): Route | undefined {
    const host = this.hostHeader === '' ? this.domains.find(headers.authority) : this.hostByHeader(headers);
    if (host === undefined) return undefined;
    if (host.requireTls !== 'none' && needsTls(host, headers)) return host.tlsRedirect;
    const target = host.find(headers, info, random);
    return target instanceof WeightedRoutes ? target.pick(headers, random) : target;
  }

  /** An empty value is one that no domain but `*` takes. */
  private hostByHeader(headers: RequestHeaders): VirtualHostRoutes | undefined {
    const value = headers.get(this.hostHeader);
    return value === '' ? this.domains.rest : this.domains.find(value ?? '');
  }
}

/** By what the client used (x-forwarded-proto), not by this connection: TLS may end before us. */
function needsTls(host: VirtualHostRoutes, headers: RequestHeaders): boolean {
  if (headers.getKnown(ID_XFP) === 'https') return false;
  return host.requireTls === 'all' || headers.getKnown(ID_INTERNAL) !== 'true';
}
