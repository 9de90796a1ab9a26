import {
  type DirectResponseAction,
  type ForwardAction,
  type LocalReply,
  type RedirectAction,
  type RequestHeaders,
  ResponseFlag,
  type Route,
  type RouteMiss,
  type TerminalHttpFilter,
  type TerminalHttpStream,
  type Trailers,
  wellKnownId,
} from '@dragoman/core';
import type { RouterConfig } from './config.ts';
import { Forwarding } from './forwarding.ts';
import { noClusterDetails, noRouteDetails } from './near-miss.ts';
import type { RunRouter } from './shadow.ts';

const ID_CONTENT_TYPE = wellKnownId('content-type');
const ID_LOCATION = wellKnownId('location');

/** The router on one request: finds the route, and has it forwarded to its cluster or answers it. */
export class RouterFilter implements TerminalHttpFilter {
  private readonly config: RouterConfig;
  private readonly stream: TerminalHttpStream;
  private readonly runOwn: RunRouter;
  /** Undefined while, or when, nothing goes upstream. */
  private forwarding: Forwarding | undefined = undefined;

  /** @param runOwn for requests that the router makes itself */
  constructor(config: RouterConfig, stream: TerminalHttpStream, runOwn: RunRouter) {
    this.config = config;
    this.stream = stream;
    this.runOwn = runOwn;
  }

  get heldBytes(): number {
    return this.forwarding?.heldBytes ?? 0;
  }

  // --- TerminalHttpFilter ----------------------------------------------------------------------------------------------

  onRequestHeaders(headers: RequestHeaders, endStream: boolean): void {
    const { config, stream } = this;
    config.stats.rqTotal.inc();
    const { route } = stream;
    if (route === undefined) {
      config.stats.noRoute.inc();
      const miss = stream.routeMiss();
      if (miss !== undefined && config.logger.enabled('debug')) this.logMiss(headers, miss);
      this.fail(ResponseFlag.NoRouteFound, { status: 404, details: noRouteDetails(miss) });
      return;
    }
    const { action } = route;
    if (action.kind === 'forward') this.forward(route, action, headers, endStream);
    else this.answer(route, action, headers);
  }

  onRequestBody(chunk: Buffer, endStream: boolean, holdable: boolean): boolean {
    return this.forwarding === undefined || this.forwarding.onRequestBody(chunk, endStream, holdable);
  }

  onRequestTrailers(trailers: Trailers): void {
    this.forwarding?.onRequestTrailers(trailers);
  }

  onDownstreamWritable(): void {
    this.forwarding?.onDownstreamWritable();
  }

  onComplete(): void {
    this.forwarding?.onComplete();
  }

  // --- What becomes of a request ---------------------------------------------------------------------------------------

  private forward(route: Route, action: ForwardAction, headers: RequestHeaders, endStream: boolean): void {
    const { config, stream } = this;
    const { info } = stream;
    const virtualCluster = route.virtualCluster?.(headers);
    if (virtualCluster !== undefined) info.virtualClusterName = virtualCluster.name;
    const name = action.clusterName(headers, config.random.next());
    info.upstreamCluster = name;
    const cluster = config.clusters.get(name);
    if (cluster === undefined) {
      config.stats.noCluster.inc();
      this.fail(ResponseFlag.NoClusterFound, {
        status: action.clusterNotFoundStatus,
        details: noClusterDetails(name, config.clusters.clusterNames),
      });
      return;
    }
    info.upstreamClusterInfo = cluster.info;
    info.upstreamCluster = cluster.info.observabilityName;
    this.forwarding = new Forwarding(config, stream, route, action, cluster, virtualCluster, this.runOwn);
    this.forwarding.start(headers, endStream);
  }

  /** A redirect or a fixed response. */
  private answer(route: Route, action: RedirectAction | DirectResponseAction, headers: RequestHeaders): void {
    const { config, stream } = this;
    const { info } = stream;
    const redirects = action.kind === 'redirect';
    (redirects ? config.stats.rqRedirect : config.stats.rqDirectResponse).inc();
    const location = action.location?.(headers, headers.scheme === 'https');
    if (redirects) action.rewritePath?.(headers, config.suppressEnvoyHeaders);
    const format = redirects ? undefined : action.format;
    const body = redirects ? undefined : format === undefined ? action.body : format.body(headers, info);
    stream.reply({
      status: action.status,
      ...(body === undefined ? {} : { body }),
      details: 'direct_response',
      modifyHeaders(response) {
        if (location !== undefined) response.setKnown(ID_LOCATION, location);
        if (format?.contentType !== undefined) response.setKnown(ID_CONTENT_TYPE, format.contentType);
        route.finalizeResponseHeaders(response, info, headers);
      },
    });
  }

  private logMiss({ method, authority, path }: RequestHeaders, miss: RouteMiss): void {
    const { id, info } = this.stream;
    this.config.logger.debug(
      `[C${info.connection.id}][S${id}] no route for ${method} ${authority}${path}: ${miss.text}`,
    );
  }

  private fail(flag: number, reply: LocalReply): void {
    this.stream.info.setResponseFlag(flag);
    this.stream.reply(reply);
  }
}
