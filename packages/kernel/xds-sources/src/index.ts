export { createFileSubscription, pathConfigSource } from './file-subscription.ts';
export { createOtherSources, type OtherSources } from './other-sources.ts';
export { createRestSubscription } from './rest-subscription.ts';
export type { FileSourceContext, RestSourceContext } from './source-context.ts';
export { SubscriptionStats } from './subscription-stats.ts';
