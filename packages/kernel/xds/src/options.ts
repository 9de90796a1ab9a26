import type { ApiConfigSource, DiscoveryRequest, DiscoveryResponse, Node } from '@dragoman/api';
import type { ConfigSubscriptions, FactoryContext, GrpcClientFactory } from '@dragoman/core';
import type { XdsReport } from './report.ts';
import type { UnknownFields } from './resource-reader.ts';
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
  /** Ways that are not streams. Default: refused by name. */
  readonly otherSources?: OtherSources | undefined;
}

export interface OtherSources {
  /** `path` and `path_config_source`. */
  readonly path?: OpenSource | undefined;
  /** `api_config_source` with `api_type: REST`. */
  readonly rest?: OpenSource | undefined;
}

/**
 * Opens a subscription of its own kind: brings responses to the {@link ResponseSink}, which does the rest.
 * @param source what `compileSource` has let through: versions and the fetch timeout are checked, the rest is for this function
 * @throws ConfigError with a path below the config source; the sink is closed then
 */
export type OpenSource = (source: ConfigSource, sink: ResponseSink, type: SourceType) => OpenedSource;

/** What a subscription is for. */
export interface SourceType {
  /** Of the resources, e.g. `type.googleapis.com/envoy.config.cluster.v3.Cluster`. */
  readonly typeUrl: string;
  /** For logs: `CDS`. */
  readonly label: string;
}

export interface OpenedSource {
  /** Other names are wanted: what `sink.request()` says has changed. */
  namesChanged(): void;
  close(): void;
}

/** Takes state-of-the-world responses for one subscription: reads, checks, hands them over, counts. */
export interface ResponseSink {
  /** What a server is to be asked, with node; an answer to the last response included. It counts as sent. */
  request(): DiscoveryRequest;
  /**
   * Hands a response over. It waits while the one before is applied, and is dropped when a newer one comes meanwhile.
   * @returns once it is applied: undefined, or why it was refused
   */
  deliver(response: DiscoveryResponse): Promise<string | undefined>;
  /** Nothing could be fetched. */
  failed(details: string): void;
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
