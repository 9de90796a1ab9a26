import {
  type RequestHeaders,
  type Route,
  type RouteMiss,
  type RouteTable,
  type StreamInfo,
  wellKnownId,
} from '@dragoman/core';
import { CompiledRoute } from './compiled-route.ts';
import type { DomainTable } from './domains.ts';
import { noVirtualHost } from './near-miss.ts';
import type { VirtualHostRoutes } from './virtual-host.ts';

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

  /** What it was made of. */
  get parts(): ConstructorParameters<typeof CompiledRouteTable> {
    return [this.name, this.domains, this.internalOnlyHeaders, this.hostHeader];
  }

  miss(headers: RequestHeaders, info: StreamInfo, random: number): RouteMiss {
    return this.host(headers)?.nearest(headers, info, random) ?? noVirtualHost(this.hostHeader);
  }

  match(headers: RequestHeaders, info: StreamInfo, random: number): Route | undefined {
    const host = this.host(headers);
    if (host === undefined) return undefined;
    if (host.requireTls !== 'none' && needsTls(host, headers)) return host.tlsRedirect;
    const target = host.find(headers, info, random);
    if (target === undefined || target instanceof CompiledRoute) return target;
    return target.pick(headers, info, random);
  }

  /** An empty value of the header is one that no domain but `*` takes. */
  protected host(headers: RequestHeaders): VirtualHostRoutes | undefined {
    if (this.hostHeader === '') return this.domains.find(headers.authority);
    const value = headers.get(this.hostHeader);
    return value === '' ? this.domains.rest : this.domains.find(value ?? '');
  }
}

/** By what the client used (x-forwarded-proto), not by this connection: TLS may end before us. */
function needsTls(host: VirtualHostRoutes, headers: RequestHeaders): boolean {
  if (headers.getKnown(ID_XFP) === 'https') return false;
  return host.requireTls === 'all' || headers.getKnown(ID_INTERNAL) !== 'true';
}
