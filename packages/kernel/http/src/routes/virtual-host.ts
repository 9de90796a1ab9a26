import type { CompiledRegex, RequestHeaders, RouteMiss, StreamInfo } from '@dragoman/core';
import { asciiLower } from '@dragoman/matching';
import { pathEnd } from '../path/normalize.ts';
import type { CompiledRoute, RouteTarget } from './compiled-route.ts';
import type { Condition, ListedCondition } from './conditions.ts';
import { nearestMiss } from './near-miss.ts';
import { LIST_UP_TO, type ListedPath, PathList } from './path-list.ts';
import { NO_ROUTE, PathTrie, TrieHits } from './path-trie.ts';

/** How a route matches the path. `path` is in bytes; in lower case when case does not count. */
export type PathCondition =
  | { readonly kind: 'exact' | 'prefix' | 'separated'; readonly path: string; readonly ignoreCase: boolean }
  | { readonly kind: 'regex'; readonly regex: CompiledRegex };

/** One entry of a virtual host's `routes`. */
export interface RouteEntry {
  /** Of the route; may be empty. */
  readonly name: string;
  readonly path: PathCondition;
  readonly condition: Condition | undefined;
  /** What {@link condition} is made of. */
  readonly conditions: readonly ListedCondition[];
  readonly target: RouteTarget;
}

/** When a virtual host turns plaintext away (`require_tls`). */
export type TlsRequirement = 'none' | 'external-only' | 'all';

/** Shared by the hosts without any. */
const NO_REGEXES: readonly number[] = [];

function pathsOf(listed: readonly ListedPath[]): PathTrie | PathList {
  if (listed.length <= LIST_UP_TO) return new PathList(listed);
  const trie = new PathTrie();
  for (const { path, kind, index, guarded } of listed) trie.add(path, kind, index, guarded);
  return trie;
}

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
  /** Of the entries: a lookup in a large table has to fetch one object less. */
  private readonly targets: readonly RouteTarget[];
  private readonly paths: PathTrie | PathList;
  /** Those for which case does not count; undefined: none. */
  private readonly foldedPaths: PathTrie | PathList | undefined;
  /** Indices of routes that match by regex, ascending. */
  private readonly regexes: readonly number[];

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
    this.targets = entries.map(({ target }) => target);
    const listed: ListedPath[] = [];
    const folded: ListedPath[] = [];
    const regexes: number[] = [];
    entries.forEach(({ path, condition }, index) => {
      if (path.kind === 'regex') regexes.push(index);
      else
        (path.ignoreCase ? folded : listed).push({
          path: path.path,
          kind: path.kind,
          index,
          guarded: condition !== undefined,
        });
    });
    this.paths = pathsOf(listed);
    this.foldedPaths = folded.length === 0 ? undefined : pathsOf(folded);
    this.regexes = regexes.length === 0 ? NO_REGEXES : regexes;
  }

  /** Undefined when no route matches. */
  find(headers: RequestHeaders, info: StreamInfo, random: number): RouteTarget | undefined {
    const { path } = headers;
    // CONNECT: only a connect_matcher could take it.
    if (path === '') return undefined;
    const end = this.end(path);
    hits.reset();
    this.paths.walk(path, end, hits);
    if (this.foldedPaths !== undefined) this.foldedPaths.walk(asciiLower(path), end, hits);
    if (hits.count === 0 && this.regexes.length === 0)
      return hits.best === NO_ROUTE ? undefined : this.targets[hits.best];
    return this.findGuarded(headers, info, random, end);
  }

  /** What came nearest to a request that {@link find} found nothing for. */
  nearest(headers: RequestHeaders, info: StreamInfo, random: number): RouteMiss {
    return nearestMiss(this.name, this.entries, headers, info, random, this.end(headers.path));
  }

  /** Where the part of a path ends that routes match on. */
  private end(path: string): number {
    const end = pathEnd(path);
    if (!this.ignoreParameters) return end;
    const semicolon = path.indexOf(';');
    return semicolon >= 0 && semicolon < end ? semicolon : end;
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

/** Whether a path condition holds by itself: for tools that ask of one route at a time. */
export function matchesPath(
  path: PathCondition,
  headers: RequestHeaders,
  info: StreamInfo,
  ignoreParameters: boolean,
): boolean {
  const target = {} as CompiledRoute;
  const entry: RouteEntry = { name: '', path, condition: undefined, conditions: [], target };
  return (
    new VirtualHostRoutes('', 'none', target, [entry], ignoreParameters).find(headers, info, 0) === target
  );
}
