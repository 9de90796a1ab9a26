import {
  Address,
  type DirectResponseAction,
  type MetadataValue,
  type RedirectAction,
  RequestHeaders,
  ResponseHeaders,
  type Route,
  StreamInfo,
} from '@dragoman/core';
import { buildLocalReply, type CompiledRouteTable } from '@dragoman/http';

/** Metadata that a filter before the router would have set. */
export interface MetadataEntry {
  readonly namespace: string;
  readonly value?: Readonly<Record<string, MetadataValue>>;
  /** Stands alone, where {@link value} is merged. */
  readonly typedValue?: Readonly<Record<string, MetadataValue>>;
  /** Default false: a namespace that exists stays. */
  readonly allowOverwrite?: boolean;
}

/** A request as a route table sees it. It comes from 127.0.0.1 over HTTP/1.1. */
export interface RouteRequest {
  readonly authority: string;
  /** With the query. */
  readonly path: string;
  /** Default GET. */
  readonly method?: string;
  /** `x-forwarded-proto` and the scheme are https. Default false. */
  readonly ssl?: boolean;
  /** `x-envoy-internal: true`. Default false. */
  readonly internal?: boolean;
  /** Draws weighted clusters and runtime fractions. 0 ≤ random < 2⁵³, default 0. */
  readonly random?: number;
  /** The runtime key that is on for `runtime_fraction`. Default none: routes that have one do not match. */
  readonly runtime?: string;
  readonly headers?: Iterable<readonly [name: string, value: string]>;
  /** Headers of the upstream's response. */
  readonly responseHeaders?: Iterable<readonly [name: string, value: string]>;
  readonly metadata?: readonly MetadataEntry[];
}

/** What a route table makes of a request. Without a route everything is empty. */
export interface RouteOutcome {
  readonly route: Route | undefined;
  /** Empty unless the route forwards. */
  readonly cluster: string;
  readonly virtualHost: string;
  readonly virtualCluster: string;
  /** What goes upstream. Empty unless the route forwards. */
  readonly path: string;
  readonly authority: string;
  /** Milliseconds, 0 for none; undefined unless the route forwards. */
  readonly timeoutMs: number | undefined;
  /** Where a redirect leads; of a direct response the request's own URI. Empty for a route that forwards. */
  readonly location: string;
  /** Of a redirect or direct response, else 0. */
  readonly status: number;
  /** As they go upstream. */
  readonly requestHeaders: RequestHeaders;
  /** As they go to the client. */
  readonly responseHeaders: ResponseHeaders;
}

/** Finds the route of a request, and does to its headers and its response's what the route says. */
export function evaluate(table: CompiledRouteTable, request: RouteRequest): RouteOutcome {
  const { random = 0, ssl = false } = request;
  const headers = headersOf(request);
  const info = infoOf(request);
  const route = table.match(headers, info, random);
  const action = route?.action;
  const virtualCluster = route?.virtualCluster?.(headers)?.name ?? '';
  const cluster = action?.kind === 'forward' ? action.clusterName(headers, random) : '';
  const location =
    action?.kind === 'redirect'
      ? action.location(headers, ssl)
      : action?.kind === 'direct-response'
        ? `${headers.scheme}://${headers.authority}${headers.path}`
        : '';
  const response =
    action === undefined || action.kind === 'forward' ? forwarded() : replied(action, headers, info);
  if (action?.kind !== 'forward' && action?.location !== undefined) response.append('location', location);
  for (const [name, value] of request.responseHeaders ?? []) response.append(name.toLowerCase(), value);
  if (action?.kind === 'forward') route?.finalizeRequestHeaders(headers, info);
  route?.finalizeResponseHeaders(response, info, headers);
  const forwards = action?.kind === 'forward';
  return {
    route,
    cluster,
    virtualHost: forwards ? (route?.virtualHostName ?? '') : '',
    virtualCluster: forwards ? virtualCluster : '',
    path: forwards ? headers.path : '',
    authority: forwards ? headers.authority : '',
    timeoutMs: forwards ? action.timeoutMs : undefined,
    location,
    status: action === undefined || forwards ? 0 : action.status,
    requestHeaders: headers,
    responseHeaders: response,
  };
}

function forwarded(): ResponseHeaders {
  const headers = new ResponseHeaders();
  headers.status = 200;
  return headers;
}

function replied(
  action: RedirectAction | DirectResponseAction,
  request: RequestHeaders,
  info: StreamInfo,
): ResponseHeaders {
  const body =
    action.kind === 'direct-response' ? (action.format?.body(request, info) ?? action.body) : undefined;
  const reply = { status: action.status, details: 'route_check', ...(body === undefined ? {} : { body }) };
  return buildLocalReply(reply, { request, info, route: undefined, rewriter: undefined }).headers;
}

function headersOf(request: RouteRequest): RequestHeaders {
  const headers = new RequestHeaders();
  headers.method = request.method ?? 'GET';
  headers.path = request.path;
  headers.authority = request.authority;
  headers.scheme = request.ssl ? 'https' : 'http';
  headers.append('x-forwarded-proto', headers.scheme);
  if (request.internal) headers.append('x-envoy-internal', 'true');
  for (const [name, value] of request.headers ?? []) headers.append(name.toLowerCase(), value);
  return headers;
}

function infoOf({ metadata = [], ssl = false }: RouteRequest): StreamInfo {
  const loopback = Address.ip('127.0.0.1', 0);
  const info = new StreamInfo(
    {
      id: 1,
      localAddress: loopback,
      directRemoteAddress: loopback,
      remoteAddress: loopback,
      requestedServerName: '',
      applicationProtocols: [],
      transportProtocol: ssl ? 'tls' : 'raw_buffer',
      tls: undefined,
      negotiatedProtocol: '',
      handshakeComplete: 0,
      startTime: 0,
      transportFailureReason: '',
      terminationDetails: '',
    },
    0,
    0,
  );
  info.protocol = 'HTTP/1.1';
  for (const { namespace, value, typedValue, allowOverwrite = false } of metadata) {
    const before = info.dynamicMetadata.get(namespace);
    if (before !== undefined && !allowOverwrite) continue;
    info.dynamicMetadata.set(namespace, typedValue ?? { ...before, ...value });
  }
  return info;
}
