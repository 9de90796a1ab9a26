export { initialFetchTimeoutMs } from './fetch-timeout.ts';
export { createFileSubscription, pathConfigSource } from './file-subscription.ts';
export { createOtherSources, type OtherSources } from './other-sources.ts';
export { type UnwrappedResource, unwrapResource } from './resource.ts';
export { createRestSubscription } from './rest-subscription.ts';
export type { FileSourceContext, RestSourceContext, UnknownFields } from './source-context.ts';
export { SubscriptionStats } from './subscription-stats.ts';
export {
  canonicalName,
  collectionOf,
  formatXdstp,
  groupsOf,
  isCollection,
  isXdstp,
  namespaceOf,
  parseXdstp,
  spellings,
  type XdstpDirective,
  type XdstpName,
} from './xdstp.ts';
