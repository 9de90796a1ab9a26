import {
  type HttpMatchData,
  type MatchTree,
  NOT_AVAILABLE,
  type RequestHeaders,
  type StreamInfo,
} from '@dragoman/core';
import type { CompiledRoute } from './compiled-route.ts';
import type { RouteList } from './route-list.ts';
import type { WeightedRoutes } from './weighted-clusters.ts';

/** When a virtual host turns plaintext away (`require_tls`). */
export type TlsRequirement = 'none' | 'external-only' | 'all';

/** What the trees of virtual hosts look at: one for all lookups of the thread, each of which runs to its end before the next. */
const matchData: { -readonly [K in keyof HttpMatchData]: HttpMatchData[K] | undefined } = {
  info: undefined,
  requestHeaders: undefined,
  requestTrailers: undefined,
  responseHeaders: undefined,
  responseTrailers: undefined,
};

/** The routes of a virtual host: a list, or lists at the leaves of a matching tree. */
export class VirtualHostRoutes {
  readonly name: string;
  readonly requireTls: TlsRequirement;
  /** What `require_tls` answers with. */
  readonly tlsRedirect: CompiledRoute;
  private readonly list: RouteList | undefined;
  private readonly tree: MatchTree<HttpMatchData, RouteList> | undefined;

  constructor(
    name: string,
    requireTls: TlsRequirement,
    tlsRedirect: CompiledRoute,
    routes: RouteList | MatchTree<HttpMatchData, RouteList>,
  ) {
    this.name = name;
    this.requireTls = requireTls;
    this.tlsRedirect = tlsRedirect;
    const isTree = 'match' in routes;
    this.list = isTree ? undefined : routes;
    this.tree = isTree ? routes : undefined;
  }

  /** Undefined when no route matches. */
  find(
    headers: RequestHeaders,
    info: StreamInfo,
    random: number,
  ): CompiledRoute | WeightedRoutes | undefined {
    const { list } = this;
    return list === undefined ? this.findByTree(headers, info, random) : list.find(headers, info, random);
  }

  private findByTree(
    headers: RequestHeaders,
    info: StreamInfo,
    random: number,
  ): CompiledRoute | WeightedRoutes | undefined {
    matchData.info = info;
    matchData.requestHeaders = headers;
    const found = this.tree?.match(matchData as HttpMatchData);
    // Nothing of a request is kept alive by it.
    matchData.info = undefined;
    matchData.requestHeaders = undefined;
    return found === undefined || found === NOT_AVAILABLE ? undefined : found.find(headers, info, random);
  }
}
