import { readLoose, RouteConfigurationSchema, RouterSchema } from '@dragoman/api';
import {
  type Cancellable,
  type Cluster,
  type ClusterInfo,
  type Counter,
  type Extension,
  ExtensionRegistry,
  type Host,
  type HttpPoolCallbacks,
  type LoadBalancerContext,
  type LocalReply,
  type PoolFailureReason,
  type PoolWishes,
  type RequestEncoder,
  type RequestHeaders,
  type ResourceBudget,
  type ResponseDecoder,
  ResponseHeaders,
  type Route,
  type Runtime,
  emptyRuntime,
  responseFlagsShort,
  type StreamResetReason,
  type TerminalHttpFilter,
  type TerminalHttpStream,
  type TlsInfo,
  Trailers,
  type UpstreamConnectionInfo,
} from '@dragoman/core';
import { compileRouteTable } from '@dragoman/http';
import {
  FakeClock,
  type JsonObject,
  MemoryStats,
  requestHeaders,
  type TestContext,
  TestHttpStream,
  testContext,
  testHosts,
} from '@dragoman/testing';
import { router } from '../src/index.ts';

export interface RigOptions {
  /** Of the action, beside its cluster. */
  readonly action?: JsonObject;
  readonly route?: JsonObject;
  readonly virtualHost?: JsonObject;
  readonly router?: JsonObject;
  readonly headers?: Readonly<Record<string, string>>;
  /** Bytes; default 1 MiB. */
  readonly bufferLimit?: number;
  readonly runtime?: Readonly<Record<string, string>>;
  /** What {@link Runtime.getInteger} and the random source draw from. Default: no jitter at all, every delay the longest. */
  readonly random?: TestContext['random'];
  /** Retries that fit into the budget. Default: 1000. */
  readonly maxRetries?: number;
  readonly maxStreamDurationMs?: number;
  /** What the cluster tells beside that. */
  readonly cluster?: Partial<ClusterInfo>;
  /** Default: three, in turn. */
  readonly hosts?: readonly Host[];
  readonly extensions?: readonly Extension[];
  /** Whether the connection manager begins anew when a redirect is followed. Default: no. */
  readonly restarts?: boolean;
}

/** The longest of every delay: `draw % n` is `n - 1` for every n that is used. */
export const LONGEST_DELAYS = {
  random: () => 0.999,
  next: () => LCM - 1,
  uuid: () => '',
} as unknown as TestContext['random'];
/** A multiple of 25, 50, 100, 200, 250 and every other interval of the tests. */
const LCM = 360_360_000_000;

/** One try, as its pool sees it. */
export class Try implements RequestEncoder, UpstreamConnectionInfo {
  tls: TlsInfo | undefined = undefined;
  readonly host: Host;
  readonly id: number;
  readonly decoder: ResponseDecoder;
  readonly callbacks: HttpPoolCallbacks;
  /** `headers`, `body:<text>`, `trailers`, ` end` behind the last one; `reset:<reason>`, `cancelled`. */
  readonly events: string[] = [];
  /** As they were when they went out. */
  sent: Readonly<Record<string, string>> = {};
  /** What {@link body} answers. */
  mayGoOn = true;
  heldBytes = 0;
  readonly responseHeadBytes = 0;
  readonly protocol = 'HTTP/1.1';
  readonly localAddress = undefined;
  readonly remoteAddress: Host['address'];
  readonly connectStart = 0;
  readonly connectComplete = 0;
  handshakeComplete = 0;
  bytesRead = 0;
  bytesWritten = 0;

  constructor(host: Host, id: number, decoder: ResponseDecoder, callbacks: HttpPoolCallbacks) {
    this.host = host;
    this.id = id;
    this.decoder = decoder;
    this.callbacks = callbacks;
    this.remoteAddress = host.address;
  }

  ready(): this {
    this.callbacks.onPoolReady(this, this.host, this);
    return this;
  }

  fail(reason: PoolFailureReason, details = ''): void {
    this.callbacks.onPoolFailure(reason, details, reason === 'overflow' ? undefined : this.host);
  }

  respond(fields: Readonly<Record<string, string>> = {}, endStream = true): void {
    this.decoder.onHeaders(responseHeaders({ ':status': '200', ...fields }), endStream);
  }

  /** A 1xx. */
  inform(status: number): void {
    this.decoder.onInformational(responseHeaders({ ':status': String(status) }));
  }

  lose(reason: StreamResetReason = 'remote-reset'): void {
    this.decoder.onReset(reason, '');
  }

  headers(headers: RequestHeaders, endStream: boolean): void {
    this.sent = Object.fromEntries(headers.entries());
    this.bytesWritten += 100;
    this.events.push(`headers${endStream ? ' end' : ''}`);
  }

  body(chunk: Buffer, endStream: boolean): boolean {
    this.bytesWritten += chunk.length;
    this.events.push(`body:${chunk.toString('latin1')}${endStream ? ' end' : ''}`);
    return this.mayGoOn;
  }

  trailers(): void {
    this.events.push('trailers end');
  }

  reset(reason: StreamResetReason): void {
    this.events.push(`reset:${reason}`);
  }

  pauseBody(): void {}
  resumeBody(): void {}
}

class RigStream extends TestHttpStream implements TerminalHttpStream {
  requestComplete = false;
  responseStarted = false;
  readonly body: string[] = [];
  readonly informationals: number[] = [];
  trailersSent: Trailers | undefined = undefined;
  ended = false;
  /** Given {@link RigOptions.restarts}. */
  restarts: (() => void) | undefined = undefined;
  /** The body that went along with each restart. */
  readonly restarted: string[] = [];

  routeMiss(): undefined {}
  findRoute(): Route | undefined {
    return this.restarts === undefined ? undefined : this.route;
  }

  restart(_request: RequestHeaders, _redirect: ResponseHeaders, body: readonly Buffer[]): boolean {
    if (this.restarts === undefined) return false;
    this.restarted.push(Buffer.concat(body).toString());
    this.restarts();
    return true;
  }

  /** As the connection manager does: what is out already can only be cut. */
  override reply(reply: LocalReply): void {
    if (!this.responseStarted) {
      super.reply(reply);
      return;
    }
    this.info.responseCodeDetails = reply.details;
    this.reset('local-reset');
  }

  informational(headers: ResponseHeaders): void {
    this.informationals.push(headers.status);
  }

  sendHeaders(headers: ResponseHeaders, endStream: boolean): void {
    this.responseStarted = true;
    this.responseHeaders = headers;
    this.ended = endStream;
  }

  sendBody(chunk: Buffer, endStream: boolean): boolean {
    this.body.push(chunk.toString());
    this.ended = endStream;
    return true;
  }

  sendTrailers(trailers: Trailers): void {
    this.trailersSent = trailers;
    this.ended = true;
  }

  pauseRequestBody(): void {
    this.calls.push('pauseRequestBody');
  }

  resumeRequestBody(): void {
    this.calls.push('resumeRequestBody');
  }
}

/** The router on one request, with everything around it in a test's hands. */
export class Rig {
  readonly clock = new FakeClock();
  readonly stats = new MemoryStats();
  readonly stream: RigStream;
  readonly filter: TerminalHttpFilter;
  readonly tries: Try[] = [];
  /** Those of copies, which go to the cluster `m`. */
  readonly mirrored: Try[] = [];
  readonly warnings: readonly string[];
  readonly logged: TestContext['logged'];
  /** What was written to the log, with component and level. */
  readonly lines: readonly string[];
  /** What each try was chosen by. */
  readonly choices: LoadBalancerContext[] = [];
  /** What each try asked of its connection. */
  readonly wishes: (PoolWishes | undefined)[] = [];
  readonly hosts: readonly Host[];
  /** Retries that hold a place in the budget. */
  retriesUnderWay = 0;
  /** False: there is no host. */
  hasHost = true;
  /** False: the cluster is gone. */
  hasCluster = true;
  private readonly info: ClusterInfo;

  constructor(options: RigOptions = {}) {
    const { stats, clock } = this;
    const runtime = runtimeOf(options.runtime ?? {});
    this.hosts = options.hosts ?? testHosts(3);
    this.info = this.clusterInfo(options);
    const mirror: Cluster = {
      info: { ...this.info, name: 'm' },
      hostSets: [],
      chooseHost: () => this.hosts[0],
      httpPool: (host) => ({ newStream: (...ends) => newStream(this.mirrored, host, ...ends) }),
      newTcpConnection: () => undefined,
    };
    const cluster: Cluster = {
      info: this.info,
      hostSets: [],
      chooseHost: (context) => {
        this.choices.push(context as LoadBalancerContext);
        return this.hasHost ? this.hosts[this.tries.length % this.hosts.length] : undefined;
      },
      httpPool: (host, _priority, wishes) => {
        this.wishes.push(wishes);
        return { newStream: (...ends) => newStream(this.tries, host, ...ends) };
      },
      newTcpConnection: () => undefined,
    };
    const context = testContext({
      stats,
      clock,
      runtime,
      random: options.random ?? LONGEST_DELAYS,
      extensions: new ExtensionRegistry(options.extensions ?? []),
      clusters: {
        get: (name: string) => (name === 'm' ? mirror : this.hasCluster ? cluster : undefined),
        clusterNames: ['c'],
      },
    });
    this.warnings = context.warnings;
    this.logged = context.logged;
    this.lines = context.loggers.lines;
    this.stream = new RigStream({
      request: requestHeaders(options.headers),
      route: routeOf(options, context),
    });
    this.stream.bufferLimit = options.bufferLimit ?? 1024 * 1024;
    if (options.restarts) this.stream.restarts = () => this.complete();
    const create = router.create(readLoose(RouterSchema, options.router ?? {}) as never, context);
    this.filter = create(this.stream) as TerminalHttpFilter;
  }

  /** The headers of a request come. */
  request(endStream = true): this {
    this.stream.requestComplete = endStream;
    this.filter.onRequestHeaders(this.stream.requestHeaders, endStream);
    return this;
  }

  body(text: string, endStream = false): boolean {
    this.stream.requestComplete = endStream;
    // Borrowed: the buffer is another's as soon as the call is over.
    const chunk = Buffer.from(text);
    const answer = this.filter.onRequestBody(chunk, endStream, false);
    chunk.fill('?');
    return answer;
  }

  trailers(): void {
    this.stream.requestComplete = true;
    this.filter.onRequestTrailers(new Trailers());
  }

  /** The latest try. */
  get last(): Try {
    return this.tries[this.tries.length - 1];
  }

  /** Lets the delay before the next try pass. */
  backOff(ms = 10_000): Try {
    this.clock.advance(ms);
    return this.last;
  }

  /** 0 when nobody has counted. */
  stat(name: string): number {
    this.stats.counter(name);
    return this.stats.value(name);
  }

  /** Counters of the cluster that are not 0, among `names`. */
  counts(...names: readonly string[]): number[] {
    return names.map((name) => this.stat(`cluster.c.${name}`));
  }

  /** `503 UF,URX details`, or `- - -` while there is no answer. */
  get outcome(): string {
    const { info, replies, responseHeaders } = this.stream;
    const status = replies[0]?.status ?? responseHeaders?.status ?? '-';
    const details = replies[0]?.details ?? (info.responseCodeDetails || '-');
    return `${status} ${responseFlagsShort(info.responseFlags)} ${details}`;
  }

  get reply(): LocalReply {
    return this.stream.replies[0];
  }

  /** The headers of the answer that the proxy made itself. */
  replyHeaders(): ResponseHeaders {
    const headers = new ResponseHeaders();
    this.reply.modifyHeaders?.(headers);
    return headers;
  }

  /** The stream is over. */
  complete(): void {
    this.filter.onComplete();
  }

  private clusterInfo(options: RigOptions): ClusterInfo {
    const scope = this.stats.scope('cluster.c');
    const rig = this;
    const max = options.maxRetries ?? 1000;
    const retries: ResourceBudget = {
      max,
      get used() {
        return rig.retriesUnderWay;
      },
      canTake: () => rig.retriesUnderWay < max,
      take: () => void rig.retriesUnderWay++,
      give: () => void rig.retriesUnderWay--,
    };
    const statNames = new Proxy({} as ClusterInfo['stats'], {
      get: (_target, name: string) => scope.counter(snakeCase(name)) satisfies Counter,
    });
    return {
      name: 'c',
      statName: 'c',
      observabilityName: 'c',
      connectTimeoutMs: 5000,
      perConnectionBufferLimitBytes: 1024 * 1024,
      maxResponseHeadersBytes: 60 * 1024,
      metadata: new Map(),
      maxStreamDurationMs: options.maxStreamDurationMs ?? 0,
      stats: statNames,
      statsScope: scope,
      maintenanceMode: false,
      secure: false,
      usesDownstreamProtocol: false,
      resources: () => ({ retries }) as never,
      chargeResponse: (status) => scope.counter(`upstream_rq_${status === 0 ? 'completed' : status}`).inc(),
      chargeResponseTime: (ms) => scope.histogram('upstream_rq_time').record(ms),
      chargeRetriedResponse: (status) =>
        scope.counter(`retry.upstream_rq_${status === 0 ? 'completed' : status}`).inc(),
      ...options.cluster,
    };
  }
}

function newStream(
  tries: Try[],
  host: Host,
  decoder: ResponseDecoder,
  callbacks: HttpPoolCallbacks,
): Cancellable {
  const attempt = new Try(host, tries.length + 1, decoder, callbacks);
  tries.push(attempt);
  return { cancel: () => void attempt.events.push('cancelled') };
}

function responseHeaders(fields: Readonly<Record<string, string>>): ResponseHeaders {
  const headers = new ResponseHeaders();
  for (const [name, value] of Object.entries(fields)) headers.append(name, value);
  return headers;
}

function routeOf(options: RigOptions, context: TestContext): Route {
  const config = readLoose(RouteConfigurationSchema, {
    virtual_hosts: [
      {
        name: 'v',
        domains: ['*'],
        routes: [
          {
            match: { prefix: '/' },
            route: { cluster: 'c', timeout: '0s', ...options.action },
            ...options.route,
          },
        ],
        ...options.virtualHost,
      },
    ],
  });
  const table = compileRouteTable(config, { context, perFilterConfig: () => undefined });
  return table.match(requestHeaders(), undefined as never, 0) as Route;
}

function runtimeOf(values: Readonly<Record<string, string>>): Runtime {
  return {
    ...emptyRuntime,
    get: (key) => values[key],
    getInteger: (key, fallback) => (values[key] === undefined ? fallback : Number(values[key])),
    featureEnabled: (key, fallback, draw) =>
      draw % fallback.denominator < (values[key] === undefined ? fallback.numerator : Number(values[key])),
  };
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** An action with a retry policy. */
export const retrying = (policy: JsonObject, more: JsonObject = {}): JsonObject => ({
  retry_policy: policy,
  ...more,
});
