import type { CompiledRegex, RequestHeaders, StreamInfo } from '@dragoman/core';
import { asciiLower } from '@dragoman/matching';
import { pathEnd } from '../path/normalize.ts';
import type { CompiledRoute, RouteTarget } from './compiled-route.ts';
import type { Condition } from './conditions.ts';
import { LIST_UP_TO, PathList } from './path-list.ts';
import { NO_ROUTE, PathTrie, TrieHits } from './path-trie.ts';

/** How a route matches the path. `path` is in bytes; in lower case when case does not count. */
export type PathCondition =
  | { readonly kind: 'exact' | 'prefix' | 'separated'; readonly path: string; readonly ignoreCase: boolean }
  | { readonly kind: 'regex'; readonly regex: CompiledRegex };

/** One entry of a virtual host's `routes`. */
export interface RouteEntry {
  readonly path: PathCondition;
  readonly condition: Condition | undefined;
  readonly target: RouteTarget;
}

/** When a virtual host turns plaintext away (`require_tls`). */
export type TlsRequirement = 'none' | 'external-only' | 'all';

/** Shared by all lookups of the thread: each runs to its end before the next. */
const hits = new TrieHits();

/**
 * The routes of a virtual host. The first in order that matches wins; it is found without asking each of them: one walk
 * over the path gives those whose path condition holds, and regexes before the best of these are tried in their turn.
 */
export class VirtualHostRoutes {
  readonly name: string;
  readonly requireTls: TlsRequirement;
  /** What `require_tls` answers with. */
  readonly tlsRedirect: CompiledRoute;
  private readonly entries: readonly RouteEntry[];
  private readonly ignoreParameters: boolean;
  private readonly paths: PathTrie | PathList;
  /** Those for which case does not count. */
  private readonly foldedPaths: PathTrie | PathList;
  /** Indices of routes that match by regex, ascending. */
  private readonly regexes: number[] = [];

  /** @param ignoreParameters `ignore_path_parameters_in_path_matching` */
  constructor(
    name: string,
    requireTls: TlsRequirement,
    tlsRedirect: CompiledRoute,
    entries: readonly RouteEntry[],
    ignoreParameters: boolean,
  ) {
    this.name = name;
    this.requireTls = requireTls;
    this.tlsRedirect = tlsRedirect;
    this.entries = entries;
    this.ignoreParameters = ignoreParameters;
    const few = entries.length <= LIST_UP_TO;
    this.paths = few ? new PathList() : new PathTrie();
    this.foldedPaths = few ? new PathList() : new PathTrie();
    entries.forEach(({ path, condition }, index) => {
      if (path.kind === 'regex') this.regexes.push(index);
      else
        (path.ignoreCase ? this.foldedPaths : this.paths).add(
          path.path,
          path.kind,
          index,
          condition !== undefined,
        );
    });
  }

  /** Undefined when no route matches. */
  find(headers: RequestHeaders, info: StreamInfo, random: number): RouteTarget | undefined {
    const { path } = headers;
    // CONNECT: only a connect_matcher could take it.
    if (path === '') return undefined;
    let end = pathEnd(path);
    if (this.ignoreParameters) {
      const semicolon = path.indexOf(';');
      if (semicolon >= 0 && semicolon < end) end = semicolon;
    }
    hits.reset();
    this.paths.walk(path, end, hits);
    if (!this.foldedPaths.isEmpty) this.foldedPaths.walk(asciiLower(path), end, hits);
    if (hits.count === 0 && this.regexes.length === 0)
      return hits.best === NO_ROUTE ? undefined : (this.entries[hits.best] as RouteEntry).target;
    return this.findGuarded(headers, info, random, end);
  }

  /** Tries what asks for more than the trie knows, in order, up to the first route that asks for nothing else. */
  private findGuarded(
    headers: RequestHeaders,
    info: StreamInfo,
    random: number,
    end: number,
  ): RouteTarget | undefined {
    const { entries, regexes } = this;
    const { best } = hits;
    let regexAt = 0;
    let text: string | undefined;
    let guarded = hits.next();
    for (;;) {
      const regex = regexAt < regexes.length ? (regexes[regexAt] as number) : NO_ROUTE;
      const index = Math.min(guarded, regex);
      if (index >= best) return best === NO_ROUTE ? undefined : (entries[best] as RouteEntry).target;
      const entry = entries[index] as RouteEntry;
      const holds = entry.condition === undefined || entry.condition(headers, info, random);
      if (index === guarded) {
        if (holds) return entry.target;
        guarded = hits.next();
        continue;
      }
      regexAt++;
      if (!holds) continue;
      text ??= headers.path.slice(0, end);
      if (entry.path.kind === 'regex' && entry.path.regex.fullMatch(text)) return entry.target;
    }
  }
}
