import { appendForwardedIp } from '@dragoman/client-address';
import {
  type Cluster,
  type ConnectionInfo,
  type ForwardAction,
  type MirrorPolicy,
  NO_POLICIES,
  type RequestHeaders,
  type ResponseHeaders,
  type Route,
  StreamInfo,
  type TerminalHttpFilter,
  type TerminalHttpStream,
  Trailers,
  wellKnownId,
} from '@dragoman/core';
import type { RouterConfig } from './config.ts';

const ID_INTERNAL = wellKnownId('x-envoy-internal');
const ID_UPGRADE = wellKnownId('upgrade');
const NOTHING: readonly never[] = [];

/** Runs a router on a stream that is no client's. */
export type RunRouter = (stream: TerminalHttpStream) => TerminalHttpFilter;

/** What mirrors take over from the request that they copy. */
export interface Mirrored {
  readonly config: RouterConfig;
  readonly connection: ConnectionInfo;
  /** Milliseconds; 0: none. */
  readonly timeoutMs: number;
  readonly bufferLimit: number;
  readonly run: RunRouter;
}

/**
 * The copies of one request that go to other clusters (`request_mirror_policies`). Nobody waits for them: what they are
 * answered is thrown away, and one whose upstream does not keep up is given up.
 */
export class Shadows {
  private readonly streams: ShadowStream[];

  private constructor(streams: ShadowStream[]) {
    this.streams = streams;
  }

  /** Those that the policies draw; undefined for none, and for CONNECT and upgrades, as in Envoy. */
  static select(
    policies: readonly MirrorPolicy[],
    headers: RequestHeaders,
    info: StreamInfo,
    mirrored: Mirrored,
  ): Shadows | undefined {
    if (headers.method === 'CONNECT' || headers.hasKnown(ID_UPGRADE)) return undefined;
    const { config } = mirrored;
    const draw = config.random.next();
    const streams: ShadowStream[] = [];
    for (const policy of policies) {
      if (!policy.selects(draw)) continue;
      const name = policy.clusterName(headers);
      const cluster = name === undefined ? undefined : config.clusters.get(name);
      if (cluster === undefined) continue;
      const copy = headers.clone();
      policy.prepare(copy, info);
      streams.push(new ShadowStream(mirrored, cluster, copy));
    }
    return streams.length === 0 ? undefined : new Shadows(streams);
  }

  start(endStream: boolean): void {
    for (const stream of this.streams) stream.start(endStream);
  }

  /** `chunk` is copied where it has to wait. */
  body(chunk: Buffer, endStream: boolean): void {
    for (const stream of this.streams) stream.body(chunk, endStream);
  }

  trailers(trailers: Trailers): void {
    for (const stream of this.streams) {
      const copy = new Trailers();
      copy.appendAll(trailers);
      stream.trailers(copy);
    }
  }

  /** Of all copies; they share nothing with the request. */
  get heldBytes(): number {
    let bytes = 0;
    for (const stream of this.streams) bytes += stream.heldBytes;
    return bytes;
  }

  /** The request ends before it is complete. */
  abandon(): void {
    for (const stream of this.streams) stream.abandon();
  }
}

/** The stream that a router sees of a copy: Envoy's async client. */
class ShadowStream implements TerminalHttpStream {
  readonly id = 0;
  readonly info: StreamInfo;
  readonly requestHeaders: RequestHeaders;
  requestTrailers: Trailers | undefined = undefined;
  responseHeaders: ResponseHeaders | undefined = undefined;
  readonly responseTrailers: Trailers | undefined = undefined;
  readonly route: Route;
  bufferLimit: number;
  readonly heldRequestBody: readonly Buffer[] = NOTHING;
  readonly heldResponseBody: readonly Buffer[] = NOTHING;
  requestComplete = false;
  responseStarted = false;
  private readonly router: TerminalHttpFilter;
  /** The upstream has more than it takes: another piece is one too many. */
  private backedUp = false;
  private over = false;

  constructor(
    { config, connection, timeoutMs, bufferLimit, run }: Mirrored,
    cluster: Cluster,
    headers: RequestHeaders,
  ) {
    this.info = new StreamInfo(connection, config.clock.wallTime(), config.clock.now());
    this.info.protocol = 'HTTP/1.1';
    this.requestHeaders = headers;
    this.route = plainRoute(cluster.info.name, timeoutMs);
    this.bufferLimit = bufferLimit;
    headers.setKnown(ID_INTERNAL, 'true');
    if (config.localAddress !== '') appendForwardedIp(headers, config.localAddress);
    this.router = run(this);
  }

  get heldBytes(): number {
    return this.over ? 0 : (this.router.heldBytes ?? 0);
  }

  start(endStream: boolean): void {
    if (this.over) return;
    this.requestComplete = endStream;
    this.router.onRequestHeaders(this.requestHeaders, endStream);
  }

  body(chunk: Buffer, endStream: boolean): void {
    if (this.over) return;
    if (this.backedUp) {
      this.finish();
      return;
    }
    this.requestComplete = endStream;
    this.backedUp = !this.router.onRequestBody(chunk, endStream, false);
  }

  trailers(trailers: Trailers): void {
    if (this.over) return;
    this.requestComplete = true;
    this.requestTrailers = trailers;
    this.router.onRequestTrailers(trailers);
  }

  abandon(): void {
    if (!this.requestComplete) this.finish();
  }

  private finish(): void {
    if (this.over) return;
    this.over = true;
    this.router.onComplete();
  }

  // --- TerminalHttpStream: the answer, which nobody wants ---------------------------------------------------------------

  informational(): void {}

  sendHeaders(headers: ResponseHeaders, endStream: boolean): void {
    this.responseStarted = true;
    this.responseHeaders = headers;
    if (endStream) this.finish();
  }

  sendBody(_chunk: Buffer, endStream: boolean): boolean {
    if (endStream) this.finish();
    return true;
  }

  sendTrailers(): void {
    this.finish();
  }

  reply(): void {
    this.finish();
  }

  reset(): void {
    this.finish();
  }

  /** Redirects go to clients, and there is none. */
  findRoute(): Route | undefined {
    return undefined;
  }

  restart(): boolean {
    return false;
  }

  pauseRequestBody(): void {
    this.backedUp = true;
  }

  resumeRequestBody(): void {
    this.backedUp = false;
  }

  // --- HttpStream: what only filters in front of a router use ------------------------------------------------------------

  routeMiss(): undefined {}

  clearRouteCache(): void {}

  perRouteConfig<T>(): T | undefined {
    return undefined;
  }

  perRouteConfigs<T>(): readonly T[] {
    return NOTHING;
  }

  resumeRequest(): void {}

  resumeResponse(): void {}

  addRequestTrailers(): Trailers {
    this.requestTrailers ??= new Trailers();
    return this.requestTrailers;
  }

  addResponseTrailers(): Trailers {
    return new Trailers();
  }
}

/** To one cluster, in `timeoutMs`, with nothing changed and nothing tried again. */
function plainRoute(cluster: string, timeoutMs: number): Route {
  const action: ForwardAction = {
    kind: 'forward',
    clusterName: () => cluster,
    priority: 'default',
    timeoutMs,
    idleTimeoutMs: undefined,
    maxStreamDurationMs: undefined,
    clusterNotFoundStatus: 503,
    autoHostRewrite: false,
    appendForwardedHost: false,
    includeAttemptCountInRequest: false,
    includeAttemptCountInResponse: false,
    metadataMatch: undefined,
    policies: NO_POLICIES,
  };
  return {
    routeName: '',
    virtualHostName: '',
    action,
    metadata: new Map(),
    decoratorOperation: undefined,
    perFilterConfigs: () => NOTHING,
    finalizeRequestHeaders: () => {},
    finalizeResponseHeaders: () => {},
  };
}
