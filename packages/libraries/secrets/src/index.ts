export type { Delivery } from './delivery.ts';
export { FolderWatch, type WatchedFiles } from './folder-watch.ts';
export { Live, type LiveOptions } from './live.ts';
export { readAll, SecretNotReady, SecretRefused } from './not-ready.ts';
export {
  inlineSecret,
  namedSecret,
  type SecretKind,
  type SecretRef,
  type SecretTypes,
  useSecret,
} from './secret-refs.ts';
export { currentContent, SourceReader, sourcePath, type Trial } from './source-reader.ts';
export {
  type SecretContext,
  type SecretUse,
  type WatchedSecret,
  watchGenericSecret,
  watchSecret,
} from './watch-secret.ts';
