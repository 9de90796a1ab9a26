import { HttpConnectionManagerSchema, readLoose } from '@dragoman/api';
import {
  type CreateHttpFilter,
  type Extension,
  ExtensionRegistry,
  type HttpFilter,
  type HttpFilterExtension,
  type LogContext,
  type RequestHeaders,
  type RequestIdExtension,
  ResponseHeaders,
  responseFlagsShort,
  type TerminalHttpFilter,
  type TerminalHttpStream,
  type Trailers,
} from '@dragoman/core';
import {
  ConnectionRecorder,
  connectionPair,
  type ConnectionPairOptions,
  type ConnectionPair,
  FakeClock,
  type JsonObject,
  parseResponse,
  type RawResponse,
  type TestContext,
  testContext,
} from '@dragoman/testing';
import { compileConnectionManager, HttpConnection } from '../src/index.ts';
import { testFormatters } from './routes-support.ts';

export const requestIds: RequestIdExtension = {
  category: 'request-ids',
  name: 'envoy.request_id.uuid',
  create: () => ({
    set(headers, force) {
      if (force || !headers.has('x-request-id')) headers.set('x-request-id', 'rid');
    },
    setInResponse: (response, request) => response.set('x-request-id', request.get('x-request-id') ?? ''),
    get: (headers) => headers.get('x-request-id') ?? '',
    toInteger: () => undefined,
    traceReason: () => 'not-traceable',
    setTraceReason: () => {},
    useForTraceSampling: false,
  }),
};

/** What the terminal filter does with a request; the default answers 200 and `ok` when the request is complete. */
export interface Upstream {
  headers?(stream: TerminalHttpStream, headers: RequestHeaders, endStream: boolean): void;
  body?(stream: TerminalHttpStream, chunk: Buffer, endStream: boolean): boolean;
  trailers?(stream: TerminalHttpStream, trailers: Trailers): void;
  writable?(stream: TerminalHttpStream): void;
  complete?(stream: TerminalHttpStream): void;
  /** What the terminal filter says that it holds. */
  held?(): number;
}

export interface RigOptions {
  /** Fields of the connection manager, over those of the rig. */
  readonly manager?: JsonObject;
  /** Routes of the only virtual host. Default: everything to cluster `c`. */
  readonly routes?: readonly JsonObject[];
  /** Filters before the terminal one, by name. */
  readonly filters?: Readonly<Record<string, HttpFilter | CreateHttpFilter>>;
  /** Further fields of a filter's entry in `http_filters`. */
  readonly entries?: Readonly<Record<string, JsonObject>>;
  readonly upstream?: Upstream;
  readonly extensions?: readonly Extension[];
  readonly context?: Partial<TestContext>;
  readonly connection?: ConnectionPairOptions;
}

/** A connection manager on a connection in memory, on fake time. */
export class ManagerRig {
  readonly clock = new FakeClock();
  readonly context: TestContext;
  readonly pair: ConnectionPair;
  readonly client: ConnectionRecorder;
  /** What reached the terminal filter: `GET /path`, `body:x`, `body:x!`, `trailers`, `complete`. */
  readonly upstream: string[] = [];
  /** The terminal filter's streams, in order. */
  readonly streams: TerminalHttpStream[] = [];
  /** The headers of each request that reached the terminal filter. */
  readonly requests: RequestHeaders[] = [];
  private readonly answers: Upstream;

  constructor(options: RigOptions = {}) {
    this.answers = options.upstream ?? {};
    const { filters = {}, entries = {} } = options;
    const names = Object.keys(filters);
    this.context = testContext({
      clock: this.clock,
      formatters: testFormatters,
      ...options.context,
      extensions: new ExtensionRegistry([
        requestIds,
        this.terminalExtension(),
        ...names.map((name) => filterExtension(name, filters[name] as HttpFilter)),
        ...(options.extensions ?? []),
      ]),
    });
    const fields: Record<string, unknown> = {
      stat_prefix: 'test',
      server_name: 'rig',
      generate_request_id: false,
      route_config: {
        name: 'routes',
        virtual_hosts: [
          {
            name: 'all',
            domains: ['*'],
            routes: options.routes ?? [{ match: { prefix: '/' }, route: { cluster: 'c' } }],
          },
        ],
      },
      http_filters: [...names.map((name) => ({ name, ...entries[name] })), { name: 'terminal' }],
      access_log: [{ name: 'log' }],
      ...options.manager,
    };
    // What a test sets to undefined is left out.
    for (const [name, value] of Object.entries(fields)) if (value === undefined) delete fields[name];
    const config = readLoose(HttpConnectionManagerSchema, fields);
    const compiled = compileConnectionManager(config as never, this.context);
    this.pair = connectionPair({ clock: this.clock, ...options.connection });
    this.client = new ConnectionRecorder(this.pair.client);
    this.pair.server.setHandler(new HttpConnection(compiled, this.pair.server) as never);
  }

  /** Sends text, and lets everything happen that can. */
  async send(...pieces: readonly string[]): Promise<this> {
    for (const piece of pieces) {
      this.pair.client.writeText(piece);
      await this.run();
    }
    return this;
  }

  /** Sends a GET (or what `line` says) with Host and further lines. */
  request(line = 'GET / HTTP/1.1', ...lines: readonly string[]): Promise<this> {
    return this.send(`${[line, 'host: a.test', ...lines].join('\r\n')}\r\n\r\n`);
  }

  async run(): Promise<void> {
    for (let i = 0; i < 4; i++) {
      this.pair.run();
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.pair.run();
  }

  async advance(ms: number): Promise<void> {
    this.clock.advance(ms);
    await this.run();
  }

  /** Every complete response received so far, taken. */
  responses(forHead = false): RawResponse[] {
    let { bytes } = this.client;
    const found: RawResponse[] = [];
    while (bytes.length > 0) {
      const next = parseResponse(bytes, this.client.closed, forHead);
      if (next === undefined) break;
      found.push(next);
      bytes = bytes.subarray(next.length);
    }
    return found;
  }

  /** The only response. */
  get response(): RawResponse {
    const found = this.responses();
    if (found.length !== 1) throw new Error(`there are ${found.length} responses: ${this.client.text}`);
    return found[0] as RawResponse;
  }

  /** Whether the proxy has ended its side. */
  get closed(): boolean {
    return this.client.events.some((event) => event === 'end' || event.startsWith('close'));
  }

  /** A stat below `http.test.`. */
  stat(name: string): number {
    return this.context.stats.value(`http.test.${name}`);
  }

  /** Access-log entries in short: `200 via_upstream -`. */
  get logged(): string[] {
    return this.context.logged.map(
      ({ info }) =>
        `${info.responseCode} ${info.responseCodeDetails} ${responseFlagsShort(info.responseFlags)}`,
    );
  }

  get lastLog(): LogContext {
    return this.context.logged.at(-1) as LogContext;
  }

  private terminalExtension(): HttpFilterExtension {
    return {
      category: 'http-filters',
      name: 'terminal',
      terminal: true,
      create: () => (stream: TerminalHttpStream) => this.terminal(stream),
    } as HttpFilterExtension;
  }

  private terminal(stream: TerminalHttpStream): TerminalHttpFilter {
    const { answers } = this;
    this.streams.push(stream);
    const done = () => {
      if (answers.headers === undefined) ok(stream);
    };
    return {
      get heldBytes() {
        return answers.held?.() ?? 0;
      },
      onRequestHeaders: (headers, endStream) => {
        this.requests.push(headers);
        this.upstream.push(`${headers.method} ${headers.path}`);
        answers.headers?.(stream, headers, endStream);
        if (endStream) done();
      },
      onRequestBody: (chunk, endStream) => {
        this.upstream.push(`body:${chunk.toString()}${endStream ? '!' : ''}`);
        const goOn = answers.body?.(stream, chunk, endStream) ?? true;
        if (endStream) done();
        return goOn;
      },
      onRequestTrailers: (trailers) => {
        this.upstream.push('trailers');
        answers.trailers?.(stream, trailers);
        done();
      },
      onDownstreamWritable: () => answers.writable?.(stream),
      onComplete: () => {
        this.upstream.push('complete');
        answers.complete?.(stream);
      },
    };
  }
}

/** Starts a rig, sends one request, and lets it happen. */
export async function ask(options: RigOptions, line?: string, ...lines: string[]): Promise<ManagerRig> {
  return await new ManagerRig(options).request(line, ...lines);
}

/** 200 with a body. */
export function ok(stream: TerminalHttpStream, body = 'ok'): void {
  const headers = respond(200, { 'content-length': String(body.length) });
  stream.sendHeaders(headers, body === '');
  if (body !== '') stream.sendBody(Buffer.from(body), true, true);
}

export function respond(status: number, fields: Readonly<Record<string, string>> = {}): ResponseHeaders {
  const headers = new ResponseHeaders();
  headers.status = status;
  for (const [name, value] of Object.entries(fields)) headers.append(name, value);
  return headers;
}

function filterExtension(name: string, filter: HttpFilter | CreateHttpFilter): HttpFilterExtension {
  return {
    category: 'http-filters',
    name,
    terminal: false,
    create: () => (typeof filter === 'function' ? filter : () => filter),
  };
}
