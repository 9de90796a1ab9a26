import type { HttpConnectionManager, WeightedCluster } from '@dragoman/api';
import {
  type ListenerFactoryContext,
  type ForwardAction,
  type RequestHeaders,
  type ResponseEncoder,
  ResponseHeaders,
  type Route,
  type StreamInfo,
} from '@dragoman/core';
import type { ConnectionManagerConfig } from '../connection-manager/config.ts';
import { compileConnectionManager } from '../connection-manager/extension.ts';
import type { CompiledFilterChain } from '../connection-manager/filter-chain.ts';
import { prepareRequest } from '../connection-manager/prepare-request.ts';
import { REPLY } from '../connection-manager/replies.ts';
import { upgradeChain, upgradeType } from '../connection-manager/upgrades.ts';
import { ExplainedRoutes, type FoundRoute } from './explained-routes.ts';
import type {
  ActionExplanation,
  ClusterHosts,
  FilterExplanation,
  HttpExplanation,
  PossibleCluster,
} from './explanation.ts';
import { changesSince, snapshot } from './header-changes.ts';
import { settingsOf } from './settings.ts';
import type { AskedRequest } from './why-not.ts';

export interface ExplainHttpOptions {
  /** Of the listener. Nothing is served with it: stats and logs of its own keep those of a running proxy clean. */
  readonly context: ListenerFactoryContext;
  /** What is known of a cluster; undefined: there is none of the name. */
  readonly clusterHosts: (name: string) => ClusterHosts | undefined;
}

/**
 * What a connection manager makes of a request, step by step, and why. The request's headers are changed on the way.
 * @throws ConfigError with every problem of the configuration
 */
export function explainHttp(
  config: HttpConnectionManager,
  request: AskedRequest,
  options: ExplainHttpOptions,
): HttpExplanation {
  const { headers, info } = request;
  const manager = compileConnectionManager(config, options.context);
  const before = snapshot(headers);
  const { port } = info.connection.localAddress;
  const refusal = prepareRequest(headers, info, manager, NO_ENCODER, port, false);
  const received = changesSince(before, headers);
  const nothing = { virtualHost: undefined, passed: [], route: undefined, miss: '', action: undefined };
  const start = { statPrefix: config.statPrefix, received };
  if (refusal !== undefined) {
    return {
      ...start,
      ...nothing,
      refused: { status: refusal.status, details: refusal.details },
      routeConfig: '',
      settings: [],
      filters: [],
      responseChanges: [],
    };
  }
  const routes = new ExplainedRoutes(config, options.context);
  const found = routes.explain(request);
  const { route } = found;
  const chain = chainFor(headers, manager, route);
  if (chain === undefined) {
    return {
      ...start,
      ...nothing,
      refused: { status: REPLY.upgradeFailed.status, details: REPLY.upgradeFailed.details },
      routeConfig: found.table?.name ?? '',
      virtualHost: found.virtualHost,
      passed: found.passed,
      route: found.place,
      settings: [],
      filters: [],
      responseChanges: [],
    };
  }
  const response = new ResponseHeaders();
  response.status = 200;
  const filters = filtersOf(chain, route);
  const action = route === undefined ? undefined : explainAction(route, found, request, options);
  const plain = snapshot(response);
  route?.finalizeResponseHeaders(response, info, headers);
  return {
    ...start,
    refused: undefined,
    routeConfig: found.table?.name ?? '',
    virtualHost: found.virtualHost,
    passed: found.passed,
    route: found.place,
    miss: found.miss,
    action,
    settings: action?.kind === 'forward' ? settingsOf(config, found) : [],
    filters,
    responseChanges: changesSince(plain, response),
  };
}

function explainAction(
  route: Route,
  found: FoundRoute,
  { headers, info, random }: AskedRequest,
  options: ExplainHttpOptions,
): ActionExplanation {
  const { action } = route;
  switch (action.kind) {
    case 'redirect':
      return {
        kind: 'redirect',
        status: action.status,
        location: action.location(headers, headers.scheme === 'https'),
      };
    case 'direct-response':
      return { kind: 'direct-response', status: action.status, bodyBytes: action.body?.length ?? 0 };
    case 'forward':
      return explainForward(action, route, found, headers, info, random, options);
  }
}

function explainForward(
  action: ForwardAction,
  route: Route,
  { config }: FoundRoute,
  headers: RequestHeaders,
  info: StreamInfo,
  random: number,
  { clusterHosts }: ExplainHttpOptions,
): ActionExplanation {
  const cluster = action.clusterName(headers, random);
  const specifier = config?.action.case === 'route' ? config.action.value.clusterSpecifier : undefined;
  const shares =
    specifier?.case === 'weightedClusters'
      ? weightedShares(specifier.value, headers)
      : [{ name: cluster, percent: 100 }];
  const before = snapshot(headers);
  route.finalizeRequestHeaders(headers, info);
  return {
    kind: 'forward',
    clusters: shares.map(
      ({ name, percent }): PossibleCluster => ({ name, percent, hosts: clusterHosts(name) }),
    ),
    cluster,
    requestChanges: changesSince(before, headers),
  };
}

function weightedShares(
  config: WeightedCluster,
  headers: RequestHeaders,
): { name: string; percent: number }[] {
  const total = config.clusters.reduce((sum, { weight = 0 }) => sum + weight, 0);
  return config.clusters.map(({ name, clusterHeader, weight = 0 }) => ({
    name: name !== '' ? name : (headers.get(clusterHeader.toLowerCase()) ?? ''),
    percent: total === 0 ? 0 : (100 * weight) / total,
  }));
}

/** Undefined for an upgrade that is not let through. */
function chainFor(
  headers: RequestHeaders,
  { chain, upgrades }: ConnectionManagerConfig,
  route: Route | undefined,
): CompiledFilterChain | undefined {
  const upgrade = upgradeType(headers);
  if (upgrade === undefined) return chain;
  return upgradeChain(upgrade, upgrades, route, chain) ?? (route === undefined ? chain : undefined);
}

function filtersOf(chain: CompiledFilterChain, route: Route | undefined): FilterExplanation[] {
  const all = [...chain.filters, { ...chain.terminal, disabled: false }];
  return all.map(({ name, disabled }) => ({
    name,
    enabled: !(route?.filterDisabled?.(name) ?? disabled),
    perRoute: (route?.perFilterConfigs(name).length ?? 0) > 0,
  }));
}

/** Nobody is there to be answered. */
const NO_ENCODER: ResponseEncoder = {
  requestHeadBytes: 0,
  informational() {},
  headers() {},
  body: () => true,
  trailers() {},
  reset() {},
  pauseBody() {},
  resumeBody() {},
  closeAfterResponse() {},
  setDecoder() {},
};
