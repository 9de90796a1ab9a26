import { type MatchInput, type MatchOutcome, type MatchTree, NOT_AVAILABLE } from '@dragoman/core';
import type { Predicate } from './predicates.ts';

type OnSkipped<A> = ((action: A) => void) | undefined;

/** Comes to nothing. */
export const NOTHING: MatchTree<unknown, never> = { match: () => undefined };

/** An `on_match` with an action. */
export class ActionTree<A> implements MatchTree<unknown, A> {
  private readonly action: A;

  constructor(action: A) {
    this.action = action;
  }

  match(): A {
    return this.action;
  }
}

/** An `on_match` with `keep_matching`: what it comes to is told, and counts as nothing. */
export class SkippedTree<D, A> implements MatchTree<D, A> {
  private readonly inner: MatchTree<D, A>;

  constructor(inner: MatchTree<D, A>) {
    this.inner = inner;
  }

  match(data: D, onSkipped?: OnSkipped<A>): MatchOutcome<A> {
    const outcome = this.inner.match(data, onSkipped);
    if (outcome === undefined || outcome === NOT_AVAILABLE) return outcome;
    onSkipped?.(outcome);
    return undefined;
  }
}

/** `matcher_list`: the first predicate that holds and whose tree comes to something. */
export class ListTree<D, A> implements MatchTree<D, A> {
  private readonly entries: readonly {
    readonly predicate: Predicate<D>;
    readonly onMatch: MatchTree<D, A>;
  }[];
  private readonly onNoMatch: MatchTree<D, A>;

  constructor(entries: ListTree<D, A>['entries'], onNoMatch: MatchTree<D, A>) {
    this.entries = entries;
    this.onNoMatch = onNoMatch;
  }

  match(data: D, onSkipped?: OnSkipped<A>): MatchOutcome<A> {
    for (const { predicate, onMatch } of this.entries) {
      const holds = predicate(data);
      // An entry before it may still turn out to be the first that matches.
      if (holds === NOT_AVAILABLE) return NOT_AVAILABLE;
      if (!holds) continue;
      const outcome = onMatch.match(data, onSkipped);
      if (outcome !== undefined) return outcome;
    }
    return this.onNoMatch.match(data, onSkipped);
  }
}

/** `matcher_tree` with `exact_match_map` or `prefix_match_map`: from the longest prefix to the shortest. */
export class MapTree<D, A> implements MatchTree<D, A> {
  private readonly input: MatchInput<D>;
  private readonly byKey: ReadonlyMap<string, MatchTree<D, A>>;
  /** Lengths of the prefixes, descending; undefined: keys are whole values. */
  private readonly lengths: readonly number[] | undefined;
  private readonly onNoMatch: MatchTree<D, A>;

  /** @param byKey by strings of bytes */
  constructor(
    input: MatchInput<D>,
    byKey: ReadonlyMap<string, MatchTree<D, A>>,
    kind: 'exact' | 'prefix',
    onNoMatch: MatchTree<D, A>,
  ) {
    this.input = input;
    this.byKey = byKey;
    this.lengths =
      kind === 'exact'
        ? undefined
        : [...new Set([...byKey.keys()].map((key) => key.length))].sort((a, b) => b - a);
    this.onNoMatch = onNoMatch;
  }

  match(data: D, onSkipped?: OnSkipped<A>): MatchOutcome<A> {
    const value = this.input.get(data);
    if (value === NOT_AVAILABLE) return NOT_AVAILABLE;
    if (typeof value === 'string') {
      const outcome =
        this.lengths === undefined
          ? this.byKey.get(value)?.match(data, onSkipped)
          : this.matchPrefixes(value, this.lengths, data, onSkipped);
      if (outcome !== undefined) return outcome;
      if (this.input.isPartial?.(data) === true) return NOT_AVAILABLE;
    }
    return this.onNoMatch.match(data, onSkipped);
  }

  private matchPrefixes(
    value: string,
    lengths: readonly number[],
    data: D,
    onSkipped: OnSkipped<A>,
  ): MatchOutcome<A> {
    for (const length of lengths) {
      if (length > value.length) continue;
      const outcome = this.byKey.get(value.slice(0, length))?.match(data, onSkipped);
      if (outcome !== undefined) return outcome;
    }
    return undefined;
  }
}
