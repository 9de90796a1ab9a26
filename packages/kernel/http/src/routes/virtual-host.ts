import {
  type HttpMatchData,
  type MatchTree,
  NOT_AVAILABLE,
  type RequestHeaders,
  type RouteMiss,
  type StreamInfo,
} from '@dragoman/core';
import type { CompiledRoute, RouteTarget } from './compiled-route.ts';
import { noRoute } from './near-miss.ts';
import { type RouteEntry, RouteList } from './route-list.ts';

/** When a virtual host turns plaintext away (`require_tls`). */
export type TlsRequirement = 'none' | 'external-only' | 'all';

/** A virtual host, compiled. */
export interface VirtualHostRoutes {
  readonly name: string;
  readonly requireTls: TlsRequirement;
  /** What `require_tls` answers with. */
  readonly tlsRedirect: CompiledRoute;
  /** Undefined when no route matches. */
  find(headers: RequestHeaders, info: StreamInfo, random: number): RouteTarget | undefined;
  /** What came nearest to a request that {@link find} found nothing for. */
  nearest(headers: RequestHeaders, info: StreamInfo, random: number): RouteMiss;
}

/** A virtual host whose `routes` are a list: one object, since a lookup in a large table waits for memory. */
export class ListedVirtualHost extends RouteList implements VirtualHostRoutes {
  readonly requireTls: TlsRequirement;
  readonly tlsRedirect: CompiledRoute;

  /** @param ignoreParameters `ignore_path_parameters_in_path_matching` */
  constructor(
    name: string,
    requireTls: TlsRequirement,
    tlsRedirect: CompiledRoute,
    entries: readonly RouteEntry[],
    ignoreParameters: boolean,
  ) {
    super(name, entries, ignoreParameters);
    this.requireTls = requireTls;
    this.tlsRedirect = tlsRedirect;
  }
}

/** What the trees of virtual hosts look at: one for all lookups of the thread, each of which runs to its end before the next. */
const matchData: { -readonly [K in keyof HttpMatchData]: HttpMatchData[K] | undefined } = {
  info: undefined,
  requestHeaders: undefined,
  requestTrailers: undefined,
  responseHeaders: undefined,
  responseTrailers: undefined,
};

/** A virtual host with a `matcher`: lists of routes are the leaves of a tree. */
export class TreeVirtualHost implements VirtualHostRoutes {
  readonly name: string;
  readonly requireTls: TlsRequirement;
  readonly tlsRedirect: CompiledRoute;
  private readonly tree: MatchTree<HttpMatchData, RouteList>;

  constructor(
    name: string,
    requireTls: TlsRequirement,
    tlsRedirect: CompiledRoute,
    tree: MatchTree<HttpMatchData, RouteList>,
  ) {
    this.name = name;
    this.requireTls = requireTls;
    this.tlsRedirect = tlsRedirect;
    this.tree = tree;
  }

  find(headers: RequestHeaders, info: StreamInfo, random: number): RouteTarget | undefined {
    return this.list(headers, info)?.find(headers, info, random);
  }

  nearest(headers: RequestHeaders, info: StreamInfo, random: number): RouteMiss {
    return this.list(headers, info)?.nearest(headers, info, random) ?? noRoute(this.name);
  }

  private list(headers: RequestHeaders, info: StreamInfo): RouteList | undefined {
    matchData.info = info;
    matchData.requestHeaders = headers;
    const found = this.tree.match(matchData as HttpMatchData);
    // Nothing of a request is kept alive by it.
    matchData.info = undefined;
    matchData.requestHeaders = undefined;
    return found === NOT_AVAILABLE ? undefined : found;
  }
}
