export { runtimeFractionMatcher } from './runtime-fraction-matcher.ts';
