import * as grpc from '@grpc/grpc-js';

const same = (bytes: Buffer): Buffer => bytes;

function method(name: string, requestStream: boolean, responseStream: boolean) {
  return {
    path: `/${SERVICE}/${name}`,
    requestStream,
    responseStream,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
}

/** The service of {@link GrpcPeer}: its messages are any bytes. */
export const SERVICE = 'test.Peer';

const DEFINITION = {
  Unary: method('Unary', false, false),
  ServerStream: method('ServerStream', false, true),
  ClientStream: method('ClientStream', true, false),
  Bidi: method('Bidi', true, true),
  /** Nobody has it. */
  Missing: method('Missing', false, false),
} satisfies grpc.ServiceDefinition;

type Done = grpc.sendUnaryData<Buffer>;
export type UnaryCall = grpc.ServerUnaryCall<Buffer, Buffer>;
export type ServerStreamCall = grpc.ServerWritableStream<Buffer, Buffer>;
export type ClientStreamCall = grpc.ServerReadableStream<Buffer, Buffer>;
export type BidiCall = grpc.ServerDuplexStream<Buffer, Buffer>;

/** What the methods of the service do. */
export interface Handlers {
  /** Default: sends the message back. */
  unary(call: UnaryCall, done: Done): void;
  /** Default: sends each word of the message. */
  serverStream(call: ServerStreamCall): void;
  /** Default: sends all messages as one. */
  clientStream(call: ClientStreamCall, done: Done): void;
  /** Default: sends each message back, and ends when the client does. */
  bidi(call: BidiCall): void;
}

const DEFAULTS: Handlers = {
  unary: (call, done) => done(null, call.request),
  serverStream(call) {
    for (const word of call.request.toString().split(' ')) call.write(Buffer.from(word));
    call.end();
  },
  clientStream(call, done) {
    const parts: Buffer[] = [];
    call.on('data', (part: Buffer) => parts.push(part));
    call.on('end', () => done(null, Buffer.concat(parts)));
  },
  bidi(call) {
    call.on('data', (message: Buffer) => call.write(message));
    call.on('end', () => call.end());
  },
};

/** Metadata from an object; a Buffer belongs to a `-bin` name. */
export function metadata(entries: Readonly<Record<string, string | Buffer>> = {}): grpc.Metadata {
  const made = new grpc.Metadata();
  for (const [name, value] of Object.entries(entries)) made.add(name, value);
  return made;
}

/** A server of grpc-js whose methods a test programs. */
export class GrpcPeer {
  readonly port: number;
  /** What methods do; may be changed at any time. */
  readonly handlers: Handlers;
  /** The metadata of every call so far. */
  readonly calls: grpc.Metadata[] = [];
  /** Calls that were given up before they were answered. To grpc-js a client that resets has ended: a handler that ends then has answered. */
  cancelled = 0;
  private readonly server: grpc.Server;

  private constructor(
    server: grpc.Server,
    port: number,
    { handlers, calls }: { handlers: Handlers; calls: grpc.Metadata[] },
  ) {
    this.server = server;
    this.port = port;
    this.handlers = handlers;
    this.calls = calls;
  }

  /** @param over in place of the default methods */
  static start(over: Partial<Handlers> = {}, options: grpc.ServerOptions = {}): Promise<GrpcPeer> {
    const server = new grpc.Server(options);
    const handlers: Handlers = { ...DEFAULTS, ...over };
    const calls: grpc.Metadata[] = [];
    let peer: GrpcPeer | undefined;
    type AnyCall = UnaryCall & ServerStreamCall & ClientStreamCall & BidiCall;
    const answered = new Set<AnyCall>();
    const seen = (call: AnyCall) => {
      calls.push(call.metadata);
      // The end of any stream is news to grpc-js.
      call.on('cancelled', () => {
        if (peer !== undefined && !answered.delete(call) && !call.writableEnded) peer.cancelled++;
      });
      // Streams of calls that are given up say so; nobody else would hear it.
      call.on('error', () => {});
      return call;
    };
    const answering =
      (call: AnyCall, done: Done): Done =>
      (...answer) => {
        answered.add(call);
        done(...answer);
      };
    server.addService(
      DEFINITION as unknown as grpc.ServiceDefinition,
      {
        Unary: (call: AnyCall, done: Done) => handlers.unary(seen(call), answering(call, done)),
        ServerStream: (call: AnyCall) => handlers.serverStream(seen(call)),
        ClientStream: (call: AnyCall, done: Done) => handlers.clientStream(seen(call), answering(call, done)),
        Bidi: (call: AnyCall) => handlers.bidi(seen(call)),
      } as never,
    );
    return new Promise((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
        if (error !== null) return reject(error);
        peer = new GrpcPeer(server, port, { handlers, calls });
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

/** A call, when it is over. */
export interface Outcome {
  readonly code: number;
  readonly details: string;
  readonly messages: readonly Buffer[];
  /** Undefined when the answer was trailers only, or none came. */
  readonly headers: grpc.Metadata | undefined;
  readonly trailers: grpc.Metadata;
}

export interface CallSettings {
  readonly metadata?: grpc.Metadata;
  /** Milliseconds from now. */
  readonly deadlineMs?: number;
}

type ReadableCall = grpc.ClientReadableStream<Buffer>;
type WritableCall = grpc.ClientDuplexStream<Buffer, Buffer>;

/** A client of grpc-js for the service, with a connection of its own. */
export class GrpcCaller implements Disposable {
  private readonly client: grpc.Client;

  constructor(port: number, options: grpc.ClientOptions = {}) {
    this.client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
      'grpc.enable_retries': 0,
      'grpc.default_authority': 'test',
      'grpc.use_local_subchannel_pool': 1,
      // Deadlines of tests are near; no service config is to be had.
      'grpc.service_config_disable_resolution': 1,
      ...options,
    });
  }

  unary(message: string | Buffer, settings: CallSettings = {}, name: keyof typeof DEFINITION = 'Unary') {
    const { call, outcome } = this.readable(message, settings, name);
    return Object.assign(outcome, { call });
  }

  serverStream(message: string | Buffer, settings: CallSettings = {}) {
    return this.readable(message, settings, 'ServerStream');
  }

  clientStream(settings: CallSettings = {}) {
    return this.writable(settings, 'ClientStream');
  }

  bidi(settings: CallSettings = {}) {
    return this.writable(settings, 'Bidi');
  }

  [Symbol.dispose](): void {
    this.client.close();
  }

  // To a client, calls with one message are those with several, of which one comes.
  private readable(message: string | Buffer, settings: CallSettings, name: keyof typeof DEFINITION) {
    const { path } = DEFINITION[name];
    const { metadata: sent, options } = settingsOf(settings);
    const call = this.client.makeServerStreamRequest(path, same, same, Buffer.from(message), sent, options);
    return { call, outcome: outcomeOf(call) };
  }

  private writable(settings: CallSettings, name: keyof typeof DEFINITION) {
    const { path } = DEFINITION[name];
    const { metadata: sent, options } = settingsOf(settings);
    const call: WritableCall = this.client.makeBidiStreamRequest(path, same, same, sent, options);
    return { call, outcome: outcomeOf(call) };
  }
}

function settingsOf({ metadata: sent, deadlineMs }: CallSettings) {
  return {
    metadata: sent ?? new grpc.Metadata(),
    options: deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs },
  };
}

/** Collects what comes. A test that pauses the call does so before anything can. */
function outcomeOf(call: ReadableCall): Promise<Outcome> {
  const messages: Buffer[] = [];
  let headers: grpc.Metadata | undefined;
  call.on('metadata', (received) => {
    headers = received;
  });
  call.on('data', (message: Buffer) => messages.push(message));
  call.on('error', () => {});
  return new Promise((resolve) => {
    call.on('status', ({ code, details, metadata: trailers }) =>
      resolve({ code, details, messages, headers, trailers }),
    );
  });
}
