import * as grpc from '@grpc/grpc-js';
import {
  AggregatedDiscoveryService,
  Authorization,
  type CheckRequest,
  CheckRequestSchema,
  type CheckResponse,
  CheckResponseSchema,
  create,
  type DescMessage,
  type DiscoveryRequest,
  DiscoveryRequestSchema,
  type DiscoveryResponse,
  DiscoveryResponseSchema,
  fromBinary,
  type MessageShape,
  toBinary,
} from '@dragoman/api';

function method(path: string, streams: boolean, input: DescMessage, output: DescMessage) {
  const write = (schema: DescMessage) => (message: MessageShape<DescMessage>) =>
    Buffer.from(toBinary(schema, message));
  const read = (schema: DescMessage) => (bytes: Buffer) => fromBinary(schema, bytes);
  return {
    path,
    requestStream: streams,
    responseStream: streams,
    requestSerialize: write(input),
    requestDeserialize: read(input),
    responseSerialize: write(output),
    responseDeserialize: read(output),
  };
}

const SERVICE = {
  check: method(`/${Authorization.typeName}/Check`, false, CheckRequestSchema, CheckResponseSchema),
} as unknown as grpc.ServiceDefinition;
const STREAMS = {
  stream: method(
    `/${AggregatedDiscoveryService.typeName}/StreamAggregatedResources`,
    true,
    DiscoveryRequestSchema,
    DiscoveryResponseSchema,
  ),
} as unknown as grpc.ServiceDefinition;

export type CheckCall = grpc.ServerUnaryCall<CheckRequest, CheckResponse>;
export type StreamCall = grpc.ServerDuplexStream<DiscoveryRequest, DiscoveryResponse>;

/** What the peer does. */
export interface AuthzHandlers {
  /** Default: yes, with the metadata that came as the message. */
  check(call: CheckCall, done: grpc.sendUnaryData<CheckResponse>): void;
  /** Default: sends back each version, and ends when the client does. */
  stream(call: StreamCall): void;
}

const DEFAULTS: AuthzHandlers = {
  check(call, done) {
    done(null, allowed(JSON.stringify(call.metadata.getMap())));
  },
  stream(call) {
    call.on('data', ({ versionInfo }: DiscoveryRequest) => call.write(version(versionInfo)));
    call.on('end', () => call.end());
  },
};

/** Yes, and why. */
export const allowed = (message: string): CheckResponse =>
  create(CheckResponseSchema, { status: { code: 0, message } });

export const version = (versionInfo: string): DiscoveryResponse =>
  create(DiscoveryResponseSchema, { versionInfo });

/** Services that a proxy itself calls, on grpc-js: unary (authorisation) and streams (discovery). */
export class AuthzPeer {
  readonly port: number;
  readonly handlers: AuthzHandlers;
  /** Calls so far. */
  calls = 0;
  /** Calls that were given up before they were answered. To grpc-js a client that resets has ended: a handler that ends then has answered. */
  cancelled = 0;
  private readonly server: grpc.Server;

  private constructor(server: grpc.Server, port: number, handlers: AuthzHandlers) {
    this.server = server;
    this.port = port;
    this.handlers = handlers;
  }

  /** @param where `port`: default any; `options`: of the server */
  static start(
    over: Partial<AuthzHandlers> = {},
    { port = 0, options = {} }: { readonly port?: number; readonly options?: grpc.ServerOptions } = {},
  ): Promise<AuthzPeer> {
    const server = new grpc.Server(options);
    const handlers: AuthzHandlers = { ...DEFAULTS, ...over };
    let peer: AuthzPeer | undefined;
    const answered = new Set<unknown>();
    type AnyCall = CheckCall & StreamCall;
    const seen = (call: AnyCall): AnyCall => {
      const own = peer as AuthzPeer;
      own.calls++;
      // The end of any stream is news to grpc-js.
      call.on('cancelled', () => {
        if (!answered.delete(call) && call.writableEnded !== true) own.cancelled++;
      });
      call.on('error', () => {});
      return call;
    };
    server.addService(SERVICE, {
      check: (call: AnyCall, done: grpc.sendUnaryData<CheckResponse>) =>
        handlers.check(seen(call), (...answer) => {
          answered.add(call);
          done(...answer);
        }),
    } as never);
    server.addService(STREAMS, { stream: (call: AnyCall) => handlers.stream(seen(call)) } as never);
    return new Promise((resolve, reject) => {
      server.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createInsecure(), (error, bound) => {
        if (error !== null) return reject(error);
        peer = new AuthzPeer(server, bound, handlers);
        resolve(peer);
      });
    });
  }

  async stop(): Promise<void> {
    this.server.forceShutdown();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
