import {
  Address,
  type Connection,
  type ConnectionHandler,
  type HealthChecker,
  type HealthCheckerContext,
  type HealthCheckResult,
  type HealthCheckSession,
  type HealthCheckTarget,
  type HealthHttpConnection,
  type HealthHttpHandler,
  noSubscriptions,
  type RequestEncoder,
  type RequestHeaders,
  type ResponseDecoder,
  type StreamResetReason,
  type Trailers,
} from '@dragoman/core';
import { type ConnectionPair, type ConnectionPairOptions, connectionPair } from './memory-connection.ts';
import type { MemoryStats } from './memory-stats.ts';
import { ConnectionRecorder } from './recorder.ts';
import { type TestContext, testContext } from './test-context.ts';

/** A host at 192.0.2.2:80 without a name of its own for checks. */
export function healthCheckTarget(over: Partial<HealthCheckTarget> = {}): HealthCheckTarget {
  const address = Address.ip('192.0.2.2', 80);
  return {
    address,
    hostname: '',
    host: {
      address,
      hostname: 'host.test',
      clusterName: 'test',
      locality: { region: '', zone: '', subZone: '' },
      priority: 0,
      canary: false,
      metadata: new Map(),
    },
    ...over,
  };
}

/** One connection of a checker, with the host's side in the test's hand. */
export interface CheckedConnection {
  readonly pair: ConnectionPair;
  /** What the host has received. */
  readonly received: ConnectionRecorder;
}

/** A request of a checker, and the means to answer it. */
export interface CheckedRequest {
  readonly headers: RequestHeaders;
  /** The whole of it, as far as it has come. */
  readonly body: Buffer;
  readonly ended: boolean;
  readonly decoder: ResponseDecoder;
}

/** A connection of a checker where HTTP is not put into bytes. */
export class CheckedHttpConnection implements HealthHttpConnection {
  readonly protocol: 'http1' | 'http2';
  readonly handler: HealthHttpHandler;
  readonly requests: CheckedRequest[] = [];
  closed = false;
  /** What `request` answers is undefined from now on. */
  full = false;

  constructor(protocol: 'http1' | 'http2', handler: HealthHttpHandler) {
    this.protocol = protocol;
    this.handler = handler;
  }

  request(decoder: ResponseDecoder): RequestEncoder | undefined {
    if (this.full || this.closed) return undefined;
    const request = { headers: undefined as never, body: Buffer.alloc(0), ended: false, decoder };
    this.requests.push(request);
    return {
      responseHeadBytes: 0,
      headers: (headers: RequestHeaders, endStream: boolean) =>
        Object.assign(request, { headers, ended: endStream }),
      body: (chunk: Buffer, endStream: boolean) => {
        Object.assign(request, { body: Buffer.concat([request.body, chunk]), ended: endStream });
        return true;
      },
      trailers: (_trailers: Trailers) => Object.assign(request, { ended: true }),
      reset: (_reason: StreamResetReason) => {},
      pauseBody: () => {},
      resumeBody: () => {},
    };
  }

  close(): void {
    this.closed = true;
  }

  /** The latest request. */
  get last(): CheckedRequest {
    const request = this.requests.at(-1);
    if (request === undefined) throw new Error('no request was sent on this connection');
    return request;
  }
}

export interface HealthSceneOptions {
  readonly reuseConnection?: boolean;
  readonly secure?: boolean;
  readonly pair?: ConnectionPairOptions;
  readonly context?: Partial<TestContext>;
  /** Default: HTTP is not put into bytes, see {@link HealthScene.http}. */
  readonly connectHttp?: (
    scene: HealthScene,
    ...call: Parameters<HealthCheckerContext['connectHttp']>
  ) => HealthHttpConnection;
}

/** The surroundings of a health checker: connections in memory, results that are kept. Cluster `test`, timeout 2 s. */
export class HealthScene {
  readonly context: HealthCheckerContext & { readonly stats: MemoryStats };
  readonly connections: CheckedConnection[] = [];
  readonly http: CheckedHttpConnection[] = [];
  readonly results: HealthCheckResult[] = [];
  private readonly pairOptions: ConnectionPairOptions;

  constructor(options: HealthSceneOptions = {}) {
    const base = testContext(options.context);
    this.pairOptions = options.pair ?? {};
    const noDns = () => {
      throw new Error('this scene has no DNS');
    };
    this.context = {
      ...base,
      dns: { resolve: noDns } as never,
      subscriptions: noSubscriptions,
      clusterName: 'test',
      scope: base.stats.scope('cluster.test.health_check'),
      timeoutMs: 2000,
      reuseConnection: options.reuseConnection ?? true,
      secure: options.secure ?? false,
      connect: (_target, handler) => this.connect(handler),
      connectHttp: (...call) => {
        if (options.connectHttp !== undefined) return options.connectHttp(this, ...call);
        const connection = new CheckedHttpConnection(call[1], call[2]);
        this.http.push(connection);
        return connection;
      },
    };
  }

  /** Opens a pair; {@link accept} lets it through. */
  connect(handler: ConnectionHandler & { onConnected(): void }): Connection {
    const pair = connectionPair(this.pairOptions);
    const received = new ConnectionRecorder();
    pair.server.setHandler(received);
    pair.client.setHandler(handler);
    this.connections.push({ pair, received });
    this.connecting.push(() => handler.onConnected());
    return pair.client;
  }

  private readonly connecting: (() => void)[] = [];

  /** Connections that were begun are through; everything that was written arrives. */
  run(): void {
    for (const connected of this.connecting.splice(0)) connected();
    for (const { pair } of this.connections) pair.run();
  }

  session(checker: HealthChecker, target?: Partial<HealthCheckTarget>): HealthCheckSession {
    return checker.session(healthCheckTarget(target));
  }

  /** Begins a check, whose result goes to {@link results}. */
  check(session: HealthCheckSession): void {
    session.check((result) => this.results.push(result));
  }

  /** The latest connection. */
  get last(): CheckedConnection {
    const connection = this.connections.at(-1);
    if (connection === undefined) throw new Error('nobody has connected');
    return connection;
  }

  get lastHttp(): CheckedHttpConnection {
    const connection = this.http.at(-1);
    if (connection === undefined) throw new Error('nobody has connected');
    return connection;
  }

  /** The host sends bytes (a string of bytes) on the latest connection. */
  send(bytes: string): void {
    this.last.pair.server.writeText(bytes);
    this.run();
  }
}
