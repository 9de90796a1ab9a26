export {
  type AccessLoggerSubject,
  accessLoggerConformance,
  logContext,
  plainFormatters,
} from './access-logger.ts';
export { type HttpFilterSubject, httpFilterConformance } from './http-filter.ts';
export {
  type DriveResult,
  driveExchange,
  type Exchange as HttpExchange,
  type Phase,
} from './http-filter-driver.ts';
export {
  type ListenerFilterSample,
  type ListenerFilterSubject,
  listenerFilterConformance,
  peekThrough,
} from './listener-filter.ts';
export {
  hostSetOf,
  hostsInTurn,
  loadBalancerConformance,
  loadBalancerContext,
  type LoadBalancerSubject,
  pickContext,
  simpleBalancer,
  testHost,
  testHosts,
} from './load-balancer.ts';
export {
  type FilteredPair,
  filteredPair,
  type NetworkFilterSubject,
  networkFilterConformance,
} from './network-filter.ts';
export {
  type RetryPolicySubject,
  retryHostPredicateConformance,
  retryPriorityConformance,
  testHostSet,
} from './retry-policy.ts';
export type { ConformanceRunner, InvalidConfig } from './runner.ts';
