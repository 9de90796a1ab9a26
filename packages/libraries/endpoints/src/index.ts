export { type DnsOptions, readDnsOptions } from './dns-options.ts';
export {
  type ConfiguredEndpoint,
  type ConfiguredLocality,
  endpointAt,
  type LoadAssignment,
  readLoadAssignment,
} from './load-assignment.ts';
export { type NameListener, NameWatcher, type NameWatcherContext } from './name-watcher.ts';
