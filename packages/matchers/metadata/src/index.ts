export { dynamicMetadataInput } from './dynamic-metadata-input.ts';
export { metadataMatcher } from './metadata-matcher.ts';
