export {
  type ApiCall,
  ApiClient,
  type ApiFailure,
  type ApiHandler,
  type ApiHeaders,
  type ApiRequest,
} from './api-client.ts';
export { Backoff, type BackoffBounds } from './backoff.ts';
export { BodyCollector } from './body-collector.ts';
export { HostReporter, type LocatedEndpoint } from './host-reporter.ts';
export { asArray, asObject, asString, type JsonObjectView, parseJson, printable } from './json.ts';
export { LineSplitter } from './line-splitter.ts';
export { type ApiServerDefaults, type ApiServerSettings, readApiServer } from './server-settings.ts';
export { readTypedConfig, warnOfToken } from './typed-config.ts';
export { WatchedFile } from './watched-file.ts';
