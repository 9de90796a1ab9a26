export { consistentHashingMatcher } from './consistent-hashing-matcher.ts';
