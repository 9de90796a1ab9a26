export { ipMatcher } from './ip-matcher.ts';
export { ipTree } from './ip-tree.ts';
