import type { Metadata, RouteAction } from '@dragoman/api';
import { durationMs } from '@dragoman/api';
import {
  ConfigError,
  type ForwardAction,
  type ForwardPolicies,
  type MetadataValue,
  type RequestHeaders,
  ROUTING_PRIORITIES,
  type RoutingPriority,
} from '@dragoman/core';

/** Envoy's route timeout where the config has none, in ms. */
export const DEFAULT_TIMEOUT_MS = 15_000;

/** By the numbers of `ClusterNotFoundResponseCode`. */
const NOT_FOUND_STATUSES = [503, 404, 500] as const;

/** What all weighted clusters of a route have in common. */
export interface ForwardSettings {
  readonly priority: RoutingPriority;
  readonly timeoutMs: number;
  readonly idleTimeoutMs: number | undefined;
  readonly maxStreamDurationMs: number | undefined;
  readonly clusterNotFoundStatus: number;
  readonly autoHostRewrite: boolean;
  readonly appendForwardedHost: boolean;
  readonly includeAttemptCountInRequest: boolean;
  readonly includeAttemptCountInResponse: boolean;
  readonly policies: ForwardPolicies;
}

/** A route to one cluster: by name, or by the name that a header gives. */
export class CompiledForward implements ForwardAction {
  readonly kind = 'forward';
  readonly priority: RoutingPriority;
  readonly timeoutMs: number;
  readonly idleTimeoutMs: number | undefined;
  readonly maxStreamDurationMs: number | undefined;
  readonly clusterNotFoundStatus: number;
  readonly autoHostRewrite: boolean;
  readonly appendForwardedHost: boolean;
  readonly includeAttemptCountInRequest: boolean;
  readonly includeAttemptCountInResponse: boolean;
  readonly metadataMatch: Readonly<Record<string, MetadataValue>> | undefined;
  readonly policies: ForwardPolicies;
  private readonly name: string;
  private readonly header: string;

  /** @param header in lower case; empty: `name` counts */
  constructor(
    settings: ForwardSettings,
    name: string,
    header: string,
    metadataMatch: Readonly<Record<string, MetadataValue>> | undefined,
  ) {
    this.priority = settings.priority;
    this.timeoutMs = settings.timeoutMs;
    this.idleTimeoutMs = settings.idleTimeoutMs;
    this.maxStreamDurationMs = settings.maxStreamDurationMs;
    this.clusterNotFoundStatus = settings.clusterNotFoundStatus;
    this.autoHostRewrite = settings.autoHostRewrite;
    this.appendForwardedHost = settings.appendForwardedHost;
    this.includeAttemptCountInRequest = settings.includeAttemptCountInRequest;
    this.includeAttemptCountInResponse = settings.includeAttemptCountInResponse;
    this.policies = settings.policies;
    this.metadataMatch = metadataMatch;
    this.name = name;
    this.header = header;
  }

  /** The draw among weighted clusters was made when the route was found. */
  clusterName(headers: RequestHeaders): string {
    return this.header === '' ? this.name : (headers.get(this.header) ?? '');
  }
}

/** @throws ConfigError for values out of range and for fields that do not act */
export function readForwardSettings(
  action: RouteAction,
  attempts: { readonly inRequest: boolean; readonly inResponse: boolean },
  policies: ForwardPolicies,
): ForwardSettings {
  const priority = ROUTING_PRIORITIES[action.priority];
  if (priority === undefined) throw ConfigError.at('priority', 'is no known priority');
  const clusterNotFoundStatus = NOT_FOUND_STATUSES[action.clusterNotFoundResponseCode];
  if (clusterNotFoundStatus === undefined)
    throw ConfigError.at('cluster_not_found_response_code', 'is no known response code');
  const { maxStreamDuration } = action;
  const host = action.hostRewriteSpecifier;
  const timeoutMs = notNegative(durationMs(action.timeout), 'timeout') ?? DEFAULT_TIMEOUT_MS;
  return {
    priority,
    timeoutMs: maxStreamDuration === undefined ? timeoutMs : 0,
    idleTimeoutMs: notNegative(durationMs(action.idleTimeout), 'idle_timeout'),
    maxStreamDurationMs: notNegative(
      durationMs(maxStreamDuration?.maxStreamDuration),
      'max_stream_duration.max_stream_duration',
    ),
    clusterNotFoundStatus,
    autoHostRewrite: host.case === 'autoHostRewrite' && host.value.value,
    appendForwardedHost: action.appendXForwardedHost,
    includeAttemptCountInRequest: attempts.inRequest,
    includeAttemptCountInResponse: attempts.inResponse,
    policies,
  };
}

/** @throws ConfigError for a time below 0 */
export function notNegative(ms: number | undefined, field: string): number | undefined {
  if (ms !== undefined && ms < 0) throw ConfigError.at(field, 'may not be negative');
  return ms;
}

/** The namespace of `metadata_match` that load balancers read. */
const LOAD_BALANCER = 'envoy.lb';

/**
 * The criteria of `metadata_match`, added to those of the level around (which they win over); undefined for none.
 * @throws ConfigError for typed metadata
 */
export function readMetadataMatch(
  metadata: Metadata | undefined,
  around: Readonly<Record<string, MetadataValue>> | undefined,
): Readonly<Record<string, MetadataValue>> | undefined {
  refuseTypedMetadata(metadata, 'metadata_match');
  const own = metadata?.filterMetadata[LOAD_BALANCER] as Readonly<Record<string, MetadataValue>> | undefined;
  return own === undefined ? around : { ...around, ...own };
}

/** @throws ConfigError when there is any */
export function refuseTypedMetadata(metadata: Metadata | undefined, path: string): void {
  if (metadata !== undefined && Object.keys(metadata.typedFilterMetadata).length > 0)
    throw ConfigError.at(
      `${path}.typed_filter_metadata`,
      'typed metadata is not supported; use filter_metadata',
    );
}
