import type { HeaderMap, RequestHeaders, ResponseHeaders } from './header-map.ts';
import type { ConnectionInfo, FilterStateObject, MetadataValue, StreamInfo } from './stream-info.ts';

/** What an input says while the data it looks at has not come yet: whoever asked may ask again later. */
export const NOT_AVAILABLE: unique symbol = Symbol('not available');
export type NotAvailable = typeof NOT_AVAILABLE;

/** What is matched on where requests are matched. What has not come yet, or never will, is undefined. */
export interface HttpMatchData {
  readonly info: StreamInfo;
  readonly requestHeaders: RequestHeaders | undefined;
  readonly requestTrailers: HeaderMap | undefined;
  readonly responseHeaders: ResponseHeaders | undefined;
  readonly responseTrailers: HeaderMap | undefined;
}

/** What is matched on where a connection's filter chain is chosen. */
export interface ConnectionMatchData {
  readonly connection: ConnectionInfo;
  /** Undefined: nobody has set any. */
  readonly filterState: ReadonlyMap<string, FilterStateObject> | undefined;
}

/**
 * One thing that can be matched on (Envoy: data input). `D` is {@link HttpMatchData} or {@link ConnectionMatchData}; an
 * input for any data takes `unknown`.
 */
export interface MatchInput<D> {
  /**
   * What {@link get} gives: `text`, a string of bytes (as headers are), or `value`, a value of metadata, which only value
   * matchers made for it take.
   */
  readonly kind: 'text' | 'value';
  /** Undefined: there is no such thing, and there will not be. */
  get(data: D): MetadataValue | undefined | NotAvailable;
  /**
   * Whether there may be more of it later, so that what does not match now may match then. Absent: what {@link get} gives
   * is all of it.
   */
  isPartial?(data: D): boolean;
}

/** Judges what an input gives, in place of a string matcher (Envoy: input matcher, `custom_match` of a predicate). */
export interface ValueMatcher {
  /** The {@link MatchInput.kind} that it takes. */
  readonly takes: 'text' | 'value';
  /** An input of `text` that has nothing is not asked about; one of `value` is, as undefined. */
  matches(value: MetadataValue | undefined): boolean;
}

/** What a tree of matchers comes to: an action, undefined for none, or that it cannot be told yet. */
export type MatchOutcome<A> = A | undefined | NotAvailable;

/** A tree of matchers, compiled. Evaluating it changes nothing. */
export interface MatchTree<D, A> {
  /** @param onSkipped hears of actions that were found and passed over because of `keep_matching` */
  match(data: D, onSkipped?: (action: A) => void): MatchOutcome<A>;
}

/** What a matching tree extension is given to build its tree with. */
export interface MatchTreeParts<D, A> {
  /** `matcher_tree.input`. */
  readonly input: MatchInput<D>;
  /** `on_no_match`; one that never comes to anything when there is none. */
  readonly onNoMatch: MatchTree<D, A>;
  /**
   * Compiles an `on_match` of the extension's own config: a nested tree, or an action.
   * @param config an `xds.type.matcher.v3.Matcher.OnMatch`, typed unknown here because contracts know no generated code
   * @throws ConfigError with `path` before its own
   */
  onMatch(config: unknown, path: string): MatchTree<D, A>;
}
