export { compileHeaderMutation, HeaderMutation } from './header-mutation.ts';
export { compileMutationRules, MutationRules } from './mutation-rules.ts';
export { formattedBytes, isUnfitForWire } from './wire-text.ts';
