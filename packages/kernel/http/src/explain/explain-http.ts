import type { HttpConnectionManager, WeightedCluster } from '@dragoman/api';
import {
  type ListenerFactoryContext,
  type ForwardAction,
  type LocalReply,
  type RequestHeaders,
  type ResponseEncoder,
  ResponseFlag,
  ResponseHeaders,
  type Route,
} from '@dragoman/core';
import { utf8Text } from '@dragoman/matching';
import type { ConnectionManagerConfig } from '../connection-manager/config.ts';
import { compileConnectionManager } from '../connection-manager/extension.ts';
import type { CompiledFilterChain } from '../connection-manager/filter-chain.ts';
import { buildLocalReply } from '../connection-manager/local-reply.ts';
import { prepareRequest } from '../connection-manager/prepare-request.ts';
import { REPLY } from '../connection-manager/replies.ts';
import { upgradeChain, upgradeType } from '../connection-manager/upgrades.ts';
import type { WeightedRoutes } from '../routes/weighted-clusters.ts';
import { ExplainedRoutes, type FoundRoute } from './explained-routes.ts';
import type {
  ActionExplanation,
  ClusterHosts,
  FilterExplanation,
  HttpExplanation,
  PossibleCluster,
  ReplyExplanation,
} from './explanation.ts';
import { changesSince, snapshot } from './header-changes.ts';
import { SeenResources } from './seen-resources.ts';
import { settingsOf } from './settings.ts';
import type { AskedRequest } from './why-not.ts';

export interface ExplainHttpOptions {
  /** Of the listener. Nothing is served with it: stats and logs of its own keep those of a running proxy clean. */
  readonly context: ListenerFactoryContext;
  /** What is known of a cluster; undefined: there is none of the name. */
  readonly clusterHosts: (name: string) => ClusterHosts | undefined;
  /** Keeps what was compiled for the next request; default: nothing is kept. */
  readonly managers?: ExplainedManagers | undefined;
}

interface ExplainedManager {
  /** What it was compiled with that may change. */
  readonly resources: SeenResources;
  readonly manager: ConnectionManagerConfig;
  readonly routes: ExplainedRoutes;
}

/** Compiled connection managers by their messages, as long as what they have discovered stays: a large route table takes a second to compile. */
export class ExplainedManagers {
  private readonly known = new WeakMap<HttpConnectionManager, ExplainedManager>();

  /** @throws ConfigError with every problem of the configuration */
  get(config: HttpConnectionManager, context: ListenerFactoryContext): ExplainedManager {
    let made = this.known.get(config);
    if (made?.resources.upToDate !== true) {
      const resources = new SeenResources(context.dynamicResources);
      const looking = { ...context, dynamicResources: resources };
      made = {
        resources,
        manager: compileConnectionManager(config, looking),
        routes: new ExplainedRoutes(config, looking),
      };
      this.known.set(config, made);
    }
    return made;
  }
}

const NOTHING = {
  virtualHost: undefined,
  passed: [],
  route: undefined,
  miss: '',
  action: undefined,
  settings: [],
  filters: [],
  responseChanges: [],
} satisfies Partial<HttpExplanation>;

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
  const { manager, routes } = (options.managers ?? new ExplainedManagers()).get(config, options.context);
  const before = snapshot(headers);
  const { port } = info.connection.localAddress;
  const refusal = prepareRequest(headers, info, manager, manager.routes.current, NO_ENCODER, port, false);
  const received = changesSince(before, headers);
  const start = { statPrefix: config.statPrefix, received };
  if (refusal !== undefined)
    return { ...start, ...refused(refusal, request, manager, undefined), routeConfig: '' };
  const found = routes.explain(request);
  const { route } = found;
  const routed = {
    routeConfig: found.table?.name ?? '',
    virtualHost: found.virtualHost,
    passed: found.passed,
    route: found.place,
    miss: found.miss,
  };
  const chain = chainFor(headers, manager, route);
  if (chain === undefined)
    return { ...start, ...refused(REPLY.upgradeFailed, request, manager, route), ...routed };
  const action = route === undefined ? undefined : explainAction(route, found, request, routes, options);
  const response = new ResponseHeaders();
  response.status = 200;
  const plain = snapshot(response);
  route?.finalizeResponseHeaders(response, info, headers);
  const reply = ownReply(action, route, request);
  return {
    ...start,
    ...routed,
    refused: undefined,
    action,
    reply: reply === undefined ? undefined : explainReply(reply, request, manager, route),
    settings: action?.kind === 'forward' ? settingsOf(config, found) : [],
    filters: filtersOf(chain, route),
    responseChanges: changesSince(plain, response),
  };
}

/** What the connection manager answers before any filter has a say. */
function refused(
  reply: LocalReply,
  request: AskedRequest,
  manager: ConnectionManagerConfig,
  route: Route | undefined,
) {
  return {
    ...NOTHING,
    refused: { status: reply.status, details: reply.details },
    reply: explainReply(reply, request, manager, route),
  };
}

/** What the router answers by itself; undefined when the request goes upstream. */
function ownReply(
  explained: ActionExplanation | undefined,
  route: Route | undefined,
  { headers, info }: AskedRequest,
): LocalReply | undefined {
  if (route === undefined || explained === undefined) {
    info.setResponseFlag(ResponseFlag.NoRouteFound);
    return { status: 404, details: 'route_not_found' };
  }
  const { action } = route;
  if (action.kind === 'forward') {
    if (explained.kind !== 'forward' || explained.clusters[explained.chosen]?.hosts !== undefined)
      return undefined;
    info.setResponseFlag(ResponseFlag.NoClusterFound);
    return { status: action.clusterNotFoundStatus, details: 'cluster_not_found' };
  }
  const body = action.kind === 'redirect' ? undefined : (action.format?.body(headers, info) ?? action.body);
  const location = action.location?.(headers, headers.scheme === 'https');
  const type = action.kind === 'redirect' ? undefined : action.format?.contentType;
  return {
    status: action.status,
    ...(body === undefined ? {} : { body }),
    details: 'direct_response',
    modifyHeaders(response) {
      if (location !== undefined) response.set('location', location);
      if (type !== undefined) response.set('content-type', type);
      route.finalizeResponseHeaders(response, info, headers);
    },
  };
}

function explainReply(
  reply: LocalReply,
  { headers, info }: AskedRequest,
  { localReplies }: ConnectionManagerConfig,
  route: Route | undefined,
): ReplyExplanation {
  info.responseCodeDetails = reply.details;
  const built = buildLocalReply(reply, { request: headers, info, route, rewriter: localReplies });
  const { status } = built.headers;
  return {
    status,
    body: built.body === undefined ? '' : built.body.toString('utf8'),
    headers: changesSince(new Map([[':status', String(status)]]), built.headers),
    mappedFrom: status === reply.status ? undefined : reply.status,
  };
}

function explainAction(
  route: Route,
  found: FoundRoute,
  request: AskedRequest,
  routes: ExplainedRoutes,
  options: ExplainHttpOptions,
): ActionExplanation {
  const { action } = route;
  const { headers, info } = request;
  switch (action.kind) {
    case 'redirect':
      return {
        kind: 'redirect',
        status: action.status,
        location: utf8Text(action.location(headers, headers.scheme === 'https')),
      };
    case 'direct-response':
      return {
        kind: 'direct-response',
        status: action.status,
        bodyBytes: (action.format?.body(headers, info) ?? action.body)?.length ?? 0,
      };
    case 'forward':
      return explainForward(action, route, found, request, routes, options);
  }
}

function explainForward(
  action: ForwardAction,
  route: Route,
  { config }: FoundRoute,
  { headers, info, random }: AskedRequest,
  routes: ExplainedRoutes,
  { clusterHosts }: ExplainHttpOptions,
): ActionExplanation {
  const cluster = action.clusterName(headers, random);
  const specifier = config?.action.case === 'route' ? config.action.value.clusterSpecifier : undefined;
  const weighted = specifier?.case === 'weightedClusters' ? routes.weights(specifier.value) : undefined;
  const shares =
    specifier?.case === 'weightedClusters' && weighted !== undefined
      ? weightedShares(specifier.value, weighted, headers)
      : [{ name: cluster, percent: 100 }];
  const before = snapshot(headers);
  route.finalizeRequestHeaders(headers, info);
  return {
    kind: 'forward',
    clusters: shares.map(
      ({ name, percent }): PossibleCluster => ({ name: utf8Text(name), percent, hosts: clusterHosts(name) }),
    ),
    cluster: utf8Text(cluster),
    chosen: Math.max(0, weighted?.indexOf(route) ?? 0),
    notFoundStatus: action.clusterNotFoundStatus,
    requestChanges: changesSince(before, headers),
  };
}

function weightedShares(
  config: WeightedCluster,
  weighted: WeightedRoutes,
  headers: RequestHeaders,
): { name: string; percent: number }[] {
  const { shares } = weighted;
  return config.clusters.map(({ name, clusterHeader }, i) => ({
    name: name !== '' ? name : (headers.get(clusterHeader.toLowerCase()) ?? ''),
    percent: 100 * (shares[i] as number),
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
