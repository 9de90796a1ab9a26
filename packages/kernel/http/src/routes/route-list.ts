import type { RequestHeaders, RouteMiss, StreamInfo } from '@dragoman/core';
import { asciiLower } from '@dragoman/matching';
import { pathEnd } from '../path/normalize.ts';
import type { RouteTarget } from './compiled-route.ts';
import type { Condition, ListedCondition } from './conditions.ts';
import { nearestMiss } from './near-miss.ts';
import { isConnect, type PathCondition } from './path-condition.ts';
import { LIST_UP_TO, type ListedPath, PathList } from './path-list.ts';
import { NO_ROUTE, PathTrie, TrieHits } from './path-trie.ts';

/** One entry of a list of routes. */
export interface RouteEntry {
  /** Of the route; may be empty. */
  readonly name: string;
  readonly path: PathCondition;
  readonly condition: Condition | undefined;
  /** What {@link condition} is made of. */
  readonly conditions: readonly ListedCondition[];
  readonly target: RouteTarget;
}

/** Shared by the lists without any. */
const NO_INDICES: readonly number[] = [];

function pathsOf(listed: readonly ListedPath[]): PathTrie | PathList {
  if (listed.length <= LIST_UP_TO) return new PathList(listed);
  const trie = new PathTrie();
  for (const { path, kind, index, guarded } of listed) trie.add(path, kind, index, guarded);
  return trie;
}

/** Shared by all lookups of the thread: each runs to its end before the next. */
const hits = new TrieHits();

/**
 * Routes in order. The first that matches wins; it is found without asking each of them: one walk over the path gives those
 * whose path condition holds, and what the walk cannot find (regexes, policies, CONNECT) before the best of these is tried in its turn.
 */
export class RouteList {
  /** Of the virtual host. */
  readonly name: string;
  private readonly entries: readonly RouteEntry[];
  private readonly ignoreParameters: boolean;
  /** Of the entries: a lookup in a large table has to fetch one object less. */
  private readonly targets: readonly RouteTarget[];
  private readonly paths: PathTrie | PathList;
  /** Those for which case does not count; undefined: none. */
  private readonly foldedPaths: PathTrie | PathList | undefined;
  /** Indices of routes that a walk does not find, ascending. */
  private readonly others: readonly number[];
  /** Indices of routes that take requests without a path, ascending. */
  private readonly pathless: readonly number[];

  /** @param ignoreParameters `ignore_path_parameters_in_path_matching` */
  constructor(name: string, entries: readonly RouteEntry[], ignoreParameters: boolean) {
    this.name = name;
    this.entries = entries;
    this.ignoreParameters = ignoreParameters;
    this.targets = entries.map(({ target }) => target);
    const listed: ListedPath[] = [];
    const folded: ListedPath[] = [];
    const others: number[] = [];
    const pathless: number[] = [];
    entries.forEach(({ path, condition }, index) => {
      switch (path.kind) {
        case 'connect':
          pathless.push(index);
          others.push(index);
          return;
        case 'regex':
        case 'policy':
          others.push(index);
          return;
        default: {
          const guarded = condition !== undefined;
          (path.ignoreCase ? folded : listed).push({ path: path.path, kind: path.kind, index, guarded });
        }
      }
    });
    this.paths = pathsOf(listed);
    this.foldedPaths = folded.length === 0 ? undefined : pathsOf(folded);
    this.others = others.length === 0 ? NO_INDICES : others;
    this.pathless = pathless.length === 0 ? NO_INDICES : pathless;
  }

  /** Undefined when no route matches. */
  find(headers: RequestHeaders, info: StreamInfo, random: number): RouteTarget | undefined {
    const { path } = headers;
    if (path === '') return this.findPathless(headers, info, random);
    const end = this.end(path);
    hits.reset();
    this.paths.walk(path, end, hits);
    if (this.foldedPaths !== undefined) this.foldedPaths.walk(asciiLower(path), end, hits);
    if (hits.count === 0 && this.others.length === 0)
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

  /** Tries what asks for more than a walk knows, in order, up to the first route that asks for nothing else. */
  private findGuarded(
    headers: RequestHeaders,
    info: StreamInfo,
    random: number,
    end: number,
  ): RouteTarget | undefined {
    const { entries, others } = this;
    const { best } = hits;
    let otherAt = 0;
    let text: string | undefined;
    let guarded = hits.next();
    for (;;) {
      const other = otherAt < others.length ? (others[otherAt] as number) : NO_ROUTE;
      const index = Math.min(guarded, other);
      if (index >= best) return best === NO_ROUTE ? undefined : this.targets[best];
      const entry = entries[index] as RouteEntry;
      const holds = entry.condition === undefined || entry.condition(headers, info, random);
      if (index === guarded) {
        if (holds) return entry.target;
        guarded = hits.next();
        continue;
      }
      otherAt++;
      if (!holds) continue;
      const { path } = entry;
      if (path.kind === 'regex') {
        text ??= headers.path.slice(0, end);
        if (path.regex.fullMatch(text)) return entry.target;
      } else if (path.kind === 'policy') {
        // Path parameters are no matter of the table's here: the policy sees them.
        if (path.matcher.match(headers.path.slice(0, pathEnd(headers.path)))) return entry.target;
      } else if (isConnect(headers)) return entry.target;
    }
  }

  /** A plain CONNECT has no path: only `connect_matcher` takes it. */
  private findPathless(headers: RequestHeaders, info: StreamInfo, random: number): RouteTarget | undefined {
    if (this.pathless.length === 0 || !isConnect(headers)) return undefined;
    for (const index of this.pathless) {
      const { condition, target } = this.entries[index] as RouteEntry;
      if (condition === undefined || condition(headers, info, random)) return target;
    }
    return undefined;
  }
}

/** Whether a path condition holds by itself: for tools that ask of one route at a time. */
export function matchesPath(
  path: PathCondition,
  headers: RequestHeaders,
  info: StreamInfo,
  ignoreParameters: boolean,
): boolean {
  const target = {} as RouteTarget;
  const entry: RouteEntry = { name: '', path, condition: undefined, conditions: [], target };
  return new RouteList('', [entry], ignoreParameters).find(headers, info, 0) === target;
}
