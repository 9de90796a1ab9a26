import { type Cluster, type Cluster_OriginalDstLbConfig, durationMs, type MetadataKey } from '@dragoman/api';
import { ConfigError, ProblemCollector } from '@dragoman/core';

/** Where a request's host is looked for, besides where its connection was meant to go. */
export interface OriginalDstSettings {
  /** `http_header_name`, in lower case; undefined: no header counts (`use_http_header`). */
  readonly header: string | undefined;
  /** `metadata_key`; the keys below the namespace. */
  readonly metadata: { readonly namespace: string; readonly path: readonly string[] } | undefined;
  /** `upstream_port_override`; undefined: the address's own. */
  readonly port: number | undefined;
  /** `cleanup_interval`, ms. Default 5,000. */
  readonly cleanupMs: number;
}

const DEFAULT_HEADER = 'x-envoy-original-dst-host';
const DEFAULT_CLEANUP_MS = 5_000;
const MAX_PORT = 65_535;
/** RFC 9110, section 5.6.2: token. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** @throws ConfigError with every problem, paths relative to the cluster */
export function readSettings(cluster: Cluster): OriginalDstSettings {
  const problems = new ProblemCollector();
  const cleanupMs = durationMs(cluster.cleanupInterval) ?? DEFAULT_CLEANUP_MS;
  if (!(cleanupMs > 0)) problems.add('cleanup_interval', 'must be more than 0 s');
  const config = cluster.lbConfig.case === 'originalDstLbConfig' ? cluster.lbConfig.value : undefined;
  const header = problems.try('original_dst_lb_config', () => readHeader(config));
  const port = config?.upstreamPortOverride;
  if (port !== undefined && port > MAX_PORT)
    problems.add('original_dst_lb_config.upstream_port_override', `${port} is no port: 0 … ${MAX_PORT}`);
  const metadata = problems.try('original_dst_lb_config.metadata_key', () =>
    readMetadataKey(config?.metadataKey),
  );
  problems.throwIfAny();
  return { header, metadata, port, cleanupMs };
}

function readHeader(config: Cluster_OriginalDstLbConfig | undefined): string | undefined {
  if (config === undefined) return undefined;
  const { useHttpHeader, httpHeaderName } = config;
  if (!useHttpHeader) {
    if (httpHeaderName === '') return undefined;
    throw ConfigError.at('http_header_name', 'has no effect without use_http_header: true');
  }
  if (httpHeaderName === '') return DEFAULT_HEADER;
  if (!TOKEN.test(httpHeaderName))
    throw ConfigError.at('http_header_name', `${JSON.stringify(httpHeaderName)} is no header name`);
  return httpHeaderName.toLowerCase();
}

function readMetadataKey(key: MetadataKey | undefined): OriginalDstSettings['metadata'] {
  if (key === undefined) return undefined;
  if (key.key === '') throw ConfigError.at('key', 'is empty: name the namespace of the metadata');
  const path = key.path.map(({ segment }, index) => {
    if (segment.case !== 'key' || segment.value === '')
      throw ConfigError.at(`path[${index}].key`, 'is missing');
    return segment.value;
  });
  if (path.length === 0) throw ConfigError.at('path', 'is empty: name a key below the namespace');
  return { namespace: key.key, path };
}
