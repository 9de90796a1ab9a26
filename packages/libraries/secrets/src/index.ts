export type { Delivery } from './delivery.ts';
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
export { SourceReader, sourcePath, type Trial } from './source-reader.ts';
export {
  type SecretContext,
  type SecretUse,
  type WatchedSecret,
  watchGenericSecret,
  watchSecret,
} from './watch-secret.ts';
