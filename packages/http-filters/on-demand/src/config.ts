import {
  durationMs,
  type OnDemand,
  type OnDemandCds,
  OnDemandCdsSchema,
  OnDemandSchema,
  type OnDemandPerRouteConfig,
  OnDemandPerRouteConfigSchema,
} from '@dragoman/api';
import { atPath, ConfigError, refuseUnsupported } from '@dragoman/core';

/** What the filter works with: the config, checked. */
export interface Options {
  /** Undefined: clusters are not asked for. */
  readonly clusters: ClusterDemand | undefined;
}

/** How clusters are asked for (`odcds`). */
export interface ClusterDemand {
  readonly source: NonNullable<OnDemandCds['source']>;
  /** How long a request waits for its cluster, ms; default 5,000. */
  readonly timeoutMs: number;
}

const DEFAULT_TIMEOUT_MS = 5000;
const FIELDS: ReadonlySet<string> = new Set(['odcds']);
const CDS_FIELDS: ReadonlySet<string> = new Set(['source', 'timeout']);
const CDS_REASONS = {
  resources_locator: 'clusters of xdstp collections are not discovered on demand yet; remove it',
};

/** @throws ConfigError with a path below the filter's config */
export function readConfig(config: OnDemand): Options {
  refuseUnsupported(config, OnDemandSchema, FIELDS);
  return { clusters: readClusters(config.odcds) };
}

/** @throws ConfigError with a path below the route's config */
export function readRouteConfig(config: OnDemandPerRouteConfig): Options {
  refuseUnsupported(config, OnDemandPerRouteConfigSchema, FIELDS);
  return { clusters: readClusters(config.odcds) };
}

function readClusters(config: OnDemandCds | undefined): ClusterDemand | undefined {
  if (config === undefined) return undefined;
  return atPath('odcds', () => {
    refuseUnsupported(config, OnDemandCdsSchema, CDS_FIELDS, '', CDS_REASONS);
    const { source, timeout } = config;
    if (source === undefined)
      throw ConfigError.at('source', 'is required: it says where clusters are asked for');
    return { source, timeoutMs: timeout === undefined ? DEFAULT_TIMEOUT_MS : durationMs(timeout) };
  });
}
