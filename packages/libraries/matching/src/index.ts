export { asciiLower, utf8Bytes, utf8Text } from './bytes.ts';
export { compileCookieMatcher, cookieValue } from './cookie-matcher.ts';
export { compileFilterStateMatcher, type FilterState } from './filter-state-matcher.ts';
export { compileHeaderMatcher, compileHeaderMatchers, type HeaderPredicate } from './header-matcher.ts';
export {
  compileQueryParameter,
  compileQueryValue,
  decodedQueryParameter,
  queryParameter,
  type QueryPredicate,
} from './query-parameter.ts';
export { compileRuntimeFraction, fractionDenominator } from './runtime-fraction.ts';
export {
  compileRuntimeDouble,
  compileRuntimeFlag,
  compileRuntimePercent,
  compileRuntimeUint32,
} from './runtime-values.ts';
export {
  compileRegexMatcher,
  compileStringMatcher,
  type StringMatcherOptions,
  type StringPredicate,
} from './string-matcher.ts';
export { compileMatchTree, type MatchTreeResolver } from './tree/compile.ts';
export type { MatcherConfig, NamedExtension, OnMatchConfig } from './tree/config.ts';
export type { Predicate, PredicateParts } from './tree/predicates.ts';
export { connectionMatchResolver, type HttpMatchOptions, httpMatchResolver } from './tree/resolver.ts';
export {
  type CompiledMetadataMatcher,
  compileDoubleMatcher,
  compileMetadataMatcher,
  compileValueMatcher,
  type MetadataMap,
  metadataValue,
  type ValuePredicate,
} from './value-matcher.ts';
