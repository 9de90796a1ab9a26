import type { Cancellable, RequestHeaders, RouteTable } from '@dragoman/core';
import { asciiLower, utf8Text } from '@dragoman/matching';
import { CompiledRouteTable } from './route-table.ts';
import type { VirtualHostRoutes } from './virtual-host.ts';

/** Asks for the virtual host of this resource name. */
export type DemandHost = (
  name: string,
  onAnswer: Parameters<NonNullable<RouteTable['demand']>>[1],
) => Cancellable;

/** Longer than a DNS name with a port: nothing that stands for a virtual host. */
const MAX_HOST_LENGTH = 512;

/** A table some of whose virtual hosts are discovered (VHDS), which others can be asked for. */
export class DemandingRouteTable extends CompiledRouteTable {
  private readonly discovered: ReadonlySet<VirtualHostRoutes>;
  private readonly ask: DemandHost;

  /** @param discovered those of the table's hosts that came by themselves */
  constructor(table: CompiledRouteTable, discovered: ReadonlySet<VirtualHostRoutes>, ask: DemandHost) {
    super(...table.parts);
    this.discovered = discovered;
    this.ask = ask;
  }

  /** By the request's host, as it came but for case; one that has its virtual host is not asked for again because no route of it matches. */
  demand(headers: RequestHeaders, onAnswer: (found: boolean) => void): Cancellable | undefined {
    const { authority } = headers;
    if (authority === '' || authority.length > MAX_HOST_LENGTH) return undefined;
    const found = this.host(headers);
    if (found !== undefined && this.discovered.has(found)) return undefined;
    return this.ask(`${this.name}/${utf8Text(asciiLower(authority))}`, onAnswer);
  }
}
