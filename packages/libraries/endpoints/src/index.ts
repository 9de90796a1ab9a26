export { type DnsOptions, lookupFamily, readDnsOptions, readFailureRate } from './dns-options.ts';
export { FailureBackOff, type FailureRate } from './failure-back-off.ts';
export {
  type ConfiguredEndpoint,
  endpointAt,
  endpointByAddress,
  type NamedEndpoints,
  readLbEndpoint,
} from './lb-endpoint.ts';
export {
  type AssignmentOptions,
  type ConfiguredLocality,
  type LoadAssignment,
  readAssignment,
  readLoadAssignment,
} from './load-assignment.ts';
export { MAX_WAIT_MS, type NameListener, NameWatcher, type NameWatcherContext } from './name-watcher.ts';
