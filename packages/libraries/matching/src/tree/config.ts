import type {
  Any,
  Matcher,
  Matcher_MatcherList,
  Matcher_MatcherList_Predicate,
  Matcher_MatcherList_Predicate_SinglePredicate,
  Matcher_MatcherTree,
  Matcher_MatcherTree_MatchMap,
  Matcher_OnMatch,
  XdsMatcher,
  XdsMatcher_MatcherList,
  XdsMatcher_MatcherList_Predicate,
  XdsMatcher_MatcherList_Predicate_SinglePredicate,
  XdsMatcher_MatcherTree,
  XdsMatcher_MatcherTree_MatchMap,
  XdsMatcher_OnMatch,
} from '@dragoman/api';

// A tree stands in a config as xds.type.matcher.v3.Matcher, in older fields as envoy.config.common.matcher.v3.Matcher. Both have
// the same shape.

export type MatcherConfig = XdsMatcher | Matcher;
export type MatcherListConfig = XdsMatcher_MatcherList | Matcher_MatcherList;
export type PredicateConfig = XdsMatcher_MatcherList_Predicate | Matcher_MatcherList_Predicate;
export type SinglePredicateConfig =
  | XdsMatcher_MatcherList_Predicate_SinglePredicate
  | Matcher_MatcherList_Predicate_SinglePredicate;
export type MatcherTreeConfig = XdsMatcher_MatcherTree | Matcher_MatcherTree;
export type MatchMapConfig = XdsMatcher_MatcherTree_MatchMap | Matcher_MatcherTree_MatchMap;
export type OnMatchConfig = XdsMatcher_OnMatch | Matcher_OnMatch;

/** `core.v3.TypedExtensionConfig`, Envoy's or xDS'. */
export interface NamedExtension {
  readonly name: string;
  readonly typedConfig?: Any | undefined;
}
