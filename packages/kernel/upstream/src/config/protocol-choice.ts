import {
  type Cluster,
  Cluster_ClusterProtocolSelection,
  type DescMessage,
  type Http1ProtocolOptions,
  type Http2ProtocolOptions,
  type HttpFilter,
  type HttpProtocolOptions,
  type MessageShape,
  unpackAny,
  type UpstreamHttpProtocolOptions,
  type UpstreamsHttpProtocolOptions,
  type UpstreamsHttpProtocolOptions_AutoHttpConfig,
  UpstreamsHttpProtocolOptions_AutoHttpConfigSchema,
  UpstreamsHttpProtocolOptions_ExplicitHttpConfigSchema,
  UpstreamsHttpProtocolOptions_UseDownstreamHttpConfigSchema,
  UpstreamsHttpProtocolOptionsSchema,
} from '@dragoman/api';
import { ConfigError, joinPath, type ProblemCollector, refuseUnsupported } from '@dragoman/core';

/** How the protocol of a connection is found: one for all, by ALPN, or that of the request downstream. */
export type ProtocolChoice = 'http1' | 'http2' | 'auto' | 'downstream';

/** A message and where it stands. */
export interface Located<T> {
  readonly message: T | undefined;
  readonly path: string;
}

/** The HTTP options of a cluster, wherever they stand. */
export interface ProtocolOptions {
  readonly choice: ProtocolChoice;
  readonly choicePath: string;
  readonly common: Located<HttpProtocolOptions>;
  readonly http1: Located<Http1ProtocolOptions>;
  readonly http2: Located<Http2ProtocolOptions>;
  readonly upstream: Located<UpstreamHttpProtocolOptions>;
  /** `http_filters`; empty for none. */
  readonly filters: readonly HttpFilter[];
  readonly filtersPath: string;
}

const OPTIONS_KEY = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

const TYPED_FIELDS = new Set([
  'common_http_protocol_options',
  'upstream_http_protocol_options',
  'explicit_http_config',
  'use_downstream_protocol_config',
  'auto_config',
  'http_filters',
]);
const PROTOCOL_FIELDS = new Set(['http_protocol_options', 'http2_protocol_options']);

/** Fields of the cluster which {@link OPTIONS_KEY} has taken the place of. */
const DEPRECATED = [
  ['common_http_protocol_options', 'commonHttpProtocolOptions'],
  ['http_protocol_options', 'httpProtocolOptions'],
  ['http2_protocol_options', 'http2ProtocolOptions'],
  ['upstream_http_protocol_options', 'upstreamHttpProtocolOptions'],
] as const;

const HTTP3 = 'HTTP/3 to upstreams is not built; leave it out';
const REASONS = {
  http3_protocol_options: HTTP3,
  alternate_protocols_cache_options: `remembers who speaks HTTP/3: ${HTTP3}`,
};

/** Reads `typed_extension_protocol_options`, or the deprecated fields of the cluster itself when it has none. */
export function readProtocolOptions(cluster: Cluster, problems: ProblemCollector): ProtocolOptions {
  const typed = readTyped(cluster, problems);
  if (typed === undefined) return ofCluster(cluster);
  for (const [field, key] of DEPRECATED) {
    if (cluster[key] !== undefined)
      problems.add(
        field,
        `has no effect beside ${OPTIONS_KEY} of typed_extension_protocol_options; remove it`,
      );
  }
  if (cluster.protocolSelection !== Cluster_ClusterProtocolSelection.USE_CONFIGURED_PROTOCOL)
    problems.add(
      'protocol_selection',
      `has no effect beside ${OPTIONS_KEY}; use use_downstream_protocol_config there`,
    );
  return typed;
}

function ofCluster(cluster: Cluster): ProtocolOptions {
  const downstream = cluster.protocolSelection === Cluster_ClusterProtocolSelection.USE_DOWNSTREAM_PROTOCOL;
  const configured = cluster.http2ProtocolOptions === undefined ? 'http1' : 'http2';
  return {
    choice: downstream ? 'downstream' : configured,
    choicePath: 'protocol_selection',
    common: { message: cluster.commonHttpProtocolOptions, path: 'common_http_protocol_options' },
    http1: { message: cluster.httpProtocolOptions, path: 'http_protocol_options' },
    http2: { message: cluster.http2ProtocolOptions, path: 'http2_protocol_options' },
    upstream: { message: cluster.upstreamHttpProtocolOptions, path: 'upstream_http_protocol_options' },
    filters: [],
    filtersPath: '',
  };
}

function readTyped(cluster: Cluster, problems: ProblemCollector): ProtocolOptions | undefined {
  let found: ProtocolOptions | undefined;
  for (const [key, any] of Object.entries(cluster.typedExtensionProtocolOptions)) {
    const path = `typed_extension_protocol_options["${key}"]`;
    problems.try(path, () => {
      const message = unpackAny(any);
      if (key !== OPTIONS_KEY || message?.$typeName !== UpstreamsHttpProtocolOptionsSchema.typeName)
        throw ConfigError.at('', `only ${OPTIONS_KEY} is known here`);
      found = ofTyped(message as UpstreamsHttpProtocolOptions, path);
    });
  }
  return found;
}

function ofTyped(options: UpstreamsHttpProtocolOptions, path: string): ProtocolOptions {
  refuseUnsupported(options, UpstreamsHttpProtocolOptionsSchema, TYPED_FIELDS, '', {
    header_validation_config:
      'choosing a header validator is not built; the codecs check as Envoy does by default',
  });
  const { choice, field, http1, http2 } = choiceOf(options);
  const at = (name: string): string => joinPath(joinPath(path, field), name);
  return {
    choice,
    choicePath: joinPath(path, field),
    common: {
      message: options.commonHttpProtocolOptions,
      path: joinPath(path, 'common_http_protocol_options'),
    },
    http1: { message: http1, path: at('http_protocol_options') },
    http2: { message: http2, path: at('http2_protocol_options') },
    upstream: {
      message: options.upstreamHttpProtocolOptions,
      path: joinPath(path, 'upstream_http_protocol_options'),
    },
    filters: options.httpFilters,
    filtersPath: joinPath(path, 'http_filters'),
  };
}

interface Choice {
  readonly choice: ProtocolChoice;
  readonly field: string;
  readonly http1: Http1ProtocolOptions | undefined;
  readonly http2: Http2ProtocolOptions | undefined;
}

function choiceOf({ upstreamProtocolOptions: chosen }: UpstreamsHttpProtocolOptions): Choice {
  switch (chosen.case) {
    case 'explicitHttpConfig': {
      const { value } = chosen;
      const field = 'explicit_http_config';
      checkFields(value, UpstreamsHttpProtocolOptions_ExplicitHttpConfigSchema, field);
      const { protocolConfig } = value;
      const http2 = protocolConfig.case === 'http2ProtocolOptions' ? protocolConfig.value : undefined;
      const http1 = protocolConfig.case === 'httpProtocolOptions' ? protocolConfig.value : undefined;
      return { choice: http2 === undefined ? 'http1' : 'http2', field, http1, http2 };
    }
    case 'useDownstreamProtocolConfig': {
      const { value } = chosen;
      const field = 'use_downstream_protocol_config';
      checkFields(value, UpstreamsHttpProtocolOptions_UseDownstreamHttpConfigSchema, field);
      return { choice: 'downstream', field, ...bothOf(value) };
    }
    case 'autoConfig': {
      const { value } = chosen;
      const field = 'auto_config';
      checkFields(value, UpstreamsHttpProtocolOptions_AutoHttpConfigSchema, field);
      return { choice: 'auto', field, ...bothOf(value) };
    }
    default:
      return { choice: 'http1', field: 'explicit_http_config', http1: undefined, http2: undefined };
  }
}

function checkFields<Desc extends DescMessage>(value: MessageShape<Desc>, schema: Desc, field: string): void {
  refuseUnsupported(value, schema, PROTOCOL_FIELDS, field, REASONS);
}

function bothOf(
  value: Pick<UpstreamsHttpProtocolOptions_AutoHttpConfig, 'httpProtocolOptions' | 'http2ProtocolOptions'>,
): Pick<Choice, 'http1' | 'http2'> {
  return { http1: value.httpProtocolOptions, http2: value.http2ProtocolOptions };
}
