export { asciiLower, utf8Bytes, utf8Text } from './bytes.ts';
export { compileHeaderMatcher, compileHeaderMatchers, type HeaderPredicate } from './header-matcher.ts';
export {
  compileRegexMatcher,
  compileStringMatcher,
  type StringMatcherOptions,
  type StringPredicate,
} from './string-matcher.ts';
export {
  type CompiledMetadataMatcher,
  compileDoubleMatcher,
  compileMetadataMatcher,
  compileValueMatcher,
  type MetadataMap,
  metadataValue,
  type ValuePredicate,
} from './value-matcher.ts';
