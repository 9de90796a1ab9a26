import type { ApiConfigSource, Node } from '@dragoman/api';
import type { ConfigSubscriptions, FactoryContext, GrpcClientFactory } from '@dragoman/core';
import type { OtherSources, UnknownFields } from '@dragoman/xds-sources';
import type { XdsReport } from './report.ts';
import type { ConfigSource } from './source-config.ts';

export interface XdsOptions {
  /** Of main. `stats` is the root scope: `control_plane.*` and `server.dynamic_unknown_fields` are counted there. */
  readonly context: Pick<FactoryContext, 'clock' | 'loggers' | 'stats' | 'warn'>;
  /** Of main, through its clusters. */
  readonly grpc: GrpcClientFactory;
  /** Sent to servers as it is: `id` and `cluster` are required by then. */
  readonly node: Node;
  /** `dynamic_resources.ads_config`. Default: config sources that say `ads` are refused. */
  readonly adsConfig?: ApiConfigSource | undefined;
  /** `config_sources` of the bootstrap: where names `xdstp://<authority>/…` come from, by their `authorities`. Default: none. */
  readonly configSources?: readonly ConfigSource[] | undefined;
  /** `default_config_source` of the bootstrap: for authorities that none of {@link configSources} has. Default: none. */
  readonly defaultConfigSource?: ConfigSource | undefined;
  /** Fields that the API does not know: counted and warned about once (Envoy's default), refused, or passed over. Default `warn`. */
  readonly unknownFields?: UnknownFields | undefined;
  /** Files and REST, as `createOtherSources` of `@dragoman/xds-sources` makes them. Default: refused by name. */
  readonly otherSources?: OtherSources | undefined;
}

/** Dynamic configuration of one process. */
export interface Xds {
  readonly subscriptions: ConfigSubscriptions;
  /** What is subscribed to, and what is known of it. */
  report(): XdsReport;
  /** No request of this type is sent on aggregated streams until the returned function is called; calls add up. */
  pause(typeUrl: string): () => void;
  /**
   * Other servers for the aggregated stream: what is known stays until they say otherwise.
   * @throws ConfigError with a path below the message; also when it asks for the other protocol (incremental or not), as in Envoy
   */
  replaceAds(config: ApiConfigSource): void;
  /** Ends every stream and subscription, without a callback. */
  close(): void;
}
