import type { RequestHeaders, StreamInfo } from '@dragoman/core';
import { asciiLower } from '@dragoman/matching';
import { pathEnd } from '../path/normalize.ts';
import type { CompiledRoute } from './compiled-route.ts';
import type { Condition } from './conditions.ts';
import { isConnect, type PathCondition } from './path-condition.ts';
import { NO_ROUTE, PathTrie, TrieHits } from './path-trie.ts';
import type { WeightedRoutes } from './weighted-clusters.ts';

/** One entry of a list of routes. */
export interface RouteEntry {
  readonly path: PathCondition;
  readonly condition: Condition | undefined;
  readonly target: CompiledRoute | WeightedRoutes;
}

/** Shared by all lookups of the thread: each runs to its end before the next. */
const hits = new TrieHits();

/**
 * Routes in order. The first that matches wins; it is found without asking each of them: one walk over the path gives those
 * whose path condition holds, and what the trie cannot hold (regexes, policies, CONNECT) before the best of these is tried in its turn.
 */
export class RouteList {
  private readonly entries: readonly RouteEntry[];
  private readonly ignoreParameters: boolean;
  private readonly trie = new PathTrie();
  private readonly foldedTrie = new PathTrie();
  /** Indices of routes that are not in a trie, ascending. */
  private readonly others: number[] = [];
  /** Indices of routes that take requests without a path, ascending. */
  private readonly pathless: number[] = [];

  /** @param ignoreParameters `ignore_path_parameters_in_path_matching` */
  constructor(entries: readonly RouteEntry[], ignoreParameters: boolean) {
    this.entries = entries;
    this.ignoreParameters = ignoreParameters;
    entries.forEach(({ path, condition }, index) => {
      switch (path.kind) {
        case 'connect':
          this.pathless.push(index);
          this.others.push(index);
          return;
        case 'regex':
        case 'policy':
          this.others.push(index);
          return;
        default:
          (path.ignoreCase ? this.foldedTrie : this.trie).add(
            path.path,
            path.kind,
            index,
            condition !== undefined,
          );
      }
    });
  }

  /** Undefined when no route matches. */
  find(
    headers: RequestHeaders,
    info: StreamInfo,
    random: number,
  ): CompiledRoute | WeightedRoutes | undefined {
    const { path } = headers;
    if (path === '') return this.findPathless(headers, info, random);
    let end = pathEnd(path);
    if (this.ignoreParameters) {
      const semicolon = path.indexOf(';');
      if (semicolon >= 0 && semicolon < end) end = semicolon;
    }
    hits.reset();
    this.trie.walk(path, end, hits);
    if (!this.foldedTrie.isEmpty) this.foldedTrie.walk(asciiLower(path), end, hits);
    if (hits.count === 0 && this.others.length === 0)
      return hits.best === NO_ROUTE ? undefined : (this.entries[hits.best] as RouteEntry).target;
    return this.findGuarded(headers, info, random, end);
  }

  /** Tries what asks for more than the trie knows, in order, up to the first route that asks for nothing else. */
  private findGuarded(
    headers: RequestHeaders,
    info: StreamInfo,
    random: number,
    end: number,
  ): CompiledRoute | WeightedRoutes | undefined {
    const { entries, others } = this;
    const { best } = hits;
    let otherAt = 0;
    let text: string | undefined;
    let guarded = hits.next();
    for (;;) {
      const other = otherAt < others.length ? (others[otherAt] as number) : NO_ROUTE;
      const index = Math.min(guarded, other);
      if (index >= best) return best === NO_ROUTE ? undefined : (entries[best] as RouteEntry).target;
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
  private findPathless(
    headers: RequestHeaders,
    info: StreamInfo,
    random: number,
  ): CompiledRoute | WeightedRoutes | undefined {
    if (this.pathless.length === 0 || !isConnect(headers)) return undefined;
    for (const index of this.pathless) {
      const { condition, target } = this.entries[index] as RouteEntry;
      if (condition === undefined || condition(headers, info, random)) return target;
    }
    return undefined;
  }
}
