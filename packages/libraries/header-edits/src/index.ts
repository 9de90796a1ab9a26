export { compileHeaderMutation, HeaderMutation } from './header-mutation.ts';
export { compileMutationRules, MutationRules } from './mutation-rules.ts';
export { isUnfitForWire } from './wire-text.ts';
