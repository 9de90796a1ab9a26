export { metadataFormatter } from './metadata-formatter.ts';
