import {
  applyHostRewrite,
  type HeaderMap,
  type LogContext,
  type MetadataValue,
  type RequestHeaders,
  type RequestStats,
  type ResponseHeaders,
  type Route,
  type RouteAction,
  type StreamInfo,
  type VirtualCluster,
} from '@dragoman/core';
import type { HeaderMutation } from '@dragoman/header-edits';
import { restoreConnectPort } from '../path/index.ts';
import type { PerFilterConfigs } from './per-filter.ts';
import { applyPathRewrite, type HostRewrite, type PathRewrite } from './rewrite.ts';
import type { VirtualClusters } from './virtual-clusters.ts';

/** Namespaces of `Route.metadata`, or of `VirtualHost.metadata`. */
export type RouteMetadata = ReadonlyMap<string, Readonly<Record<string, MetadataValue>>>;

/** What a route is made of; everything is worked out when the table is compiled. */
export interface RouteParts {
  readonly routeName: string;
  readonly virtualHostName: string;
  readonly action: RouteAction;
  readonly metadata: RouteMetadata;
  readonly virtualHostMetadata: RouteMetadata;
  readonly decoratorOperation: string | undefined;
  readonly perFilter: PerFilterConfigs;
  /** In the order they are applied. */
  readonly requestMutations: readonly HeaderMutation[];
  readonly responseMutations: readonly HeaderMutation[];
  /** `host_rewrite_literal` of a weighted cluster: before the route's own. */
  readonly clusterHost: string;
  readonly hostRewrite: HostRewrite | undefined;
  readonly pathRewrite: PathRewrite | undefined;
  readonly virtualClusters: VirtualClusters | undefined;
  /** Those of `stat_prefix`. */
  readonly stats: RequestStats | undefined;
}

/** Several routes to one entry of the config, of which a request gets one. */
export interface RouteChoice {
  pick(headers: RequestHeaders, info: StreamInfo, random: number): CompiledRoute | undefined;
}

export type RouteTarget = CompiledRoute | RouteChoice;

/** A route, or one weighted cluster of it. */
export class CompiledRoute implements Route {
  readonly routeName: string;
  readonly virtualHostName: string;
  readonly action: RouteAction;
  readonly metadata: RouteMetadata;
  readonly virtualHostMetadata: RouteMetadata;
  readonly decoratorOperation: string | undefined;
  readonly stats: RequestStats | undefined;
  private readonly perFilter: PerFilterConfigs;
  private readonly requestMutations: readonly HeaderMutation[];
  private readonly responseMutations: readonly HeaderMutation[];
  private readonly clusterHost: string;
  private readonly hostRewrite: HostRewrite | undefined;
  private readonly pathRewrite: PathRewrite | undefined;
  private readonly virtualClusters: VirtualClusters | undefined;
  private readonly appendForwardedHost: boolean;

  constructor(parts: RouteParts) {
    this.routeName = parts.routeName;
    this.virtualHostName = parts.virtualHostName;
    this.action = parts.action;
    this.metadata = parts.metadata;
    this.virtualHostMetadata = parts.virtualHostMetadata;
    this.decoratorOperation = parts.decoratorOperation;
    this.perFilter = parts.perFilter;
    this.requestMutations = parts.requestMutations;
    this.responseMutations = parts.responseMutations;
    this.clusterHost = parts.clusterHost;
    this.hostRewrite = parts.hostRewrite;
    this.pathRewrite = parts.pathRewrite;
    this.virtualClusters = parts.virtualClusters;
    this.stats = parts.stats;
    this.appendForwardedHost = parts.action.kind === 'forward' && parts.action.appendForwardedHost;
  }

  perFilterConfigs(filterName: string): readonly unknown[] {
    return this.perFilter.get(filterName);
  }

  filterDisabled(filterName: string): boolean | undefined {
    return this.perFilter.isDisabled(filterName);
  }

  virtualCluster(headers: RequestHeaders): VirtualCluster | undefined {
    return this.virtualClusters?.of(headers);
  }

  finalizeRequestHeaders(headers: RequestHeaders, info: StreamInfo, suppressEnvoyHeaders = false): void {
    if (this.requestMutations.length > 0) applyAll(this.requestMutations, headers, info, headers, undefined);
    if (headers.method === 'CONNECT') restoreConnectPort(headers, info);
    if (this.clusterHost !== '') headers.authority = this.clusterHost;
    if (this.hostRewrite !== undefined) {
      const host = this.hostRewrite(headers);
      if (host !== undefined) applyHostRewrite(headers, host, this.appendForwardedHost, suppressEnvoyHeaders);
    }
    if (this.pathRewrite !== undefined) applyPathRewrite(headers, this.pathRewrite, suppressEnvoyHeaders);
  }

  finalizeResponseHeaders(headers: ResponseHeaders, info: StreamInfo, request: RequestHeaders): void {
    if (this.responseMutations.length > 0) applyAll(this.responseMutations, headers, info, request, headers);
  }
}

function applyAll(
  mutations: readonly HeaderMutation[],
  target: HeaderMap,
  info: StreamInfo,
  request: RequestHeaders,
  response: ResponseHeaders | undefined,
): void {
  let context: LogContext | undefined;
  for (const mutation of mutations) {
    if (mutation.dynamic)
      context ??= { info, request, response, responseTrailers: undefined, type: 'NotSet' };
    mutation.apply(target, context);
  }
}
