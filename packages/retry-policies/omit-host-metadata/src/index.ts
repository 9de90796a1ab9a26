export { omitHostMetadata } from './omit-host-metadata.ts';
