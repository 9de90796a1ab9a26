import { fileURLToPath } from 'node:url';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

const definition = loadSync(fileURLToPath(new URL('./interop.proto', import.meta.url)), {
  keepCase: true,
  longs: Number,
  defaults: true,
});

type Service = grpc.ServiceClientConstructor;
const { testing } = (
  grpc.loadPackageDefinition(definition) as unknown as {
    grpc: { testing: { TestService: Service; UnimplementedService: Service } };
  }
).grpc;

export const TestService: Service = testing.TestService;
export const UnimplementedService: Service = testing.UnimplementedService;

/** Metadata that the server sends back: the first in its headers, the second in its trailers. */
export const ECHO_INITIAL = 'x-grpc-test-echo-initial';
export const ECHO_TRAILING = 'x-grpc-test-echo-trailing-bin';

interface Payload {
  readonly body: Buffer;
}

interface EchoStatus {
  readonly code: number;
  readonly message: string;
}

export interface OutputRequest {
  readonly response_parameters: readonly { readonly size: number }[];
  readonly response_status: EchoStatus | null;
}

type Call = grpc.ServerUnaryCall<{ response_size: number; response_status: EchoStatus | null }, unknown>;

function trailing(metadata: grpc.Metadata): grpc.Metadata {
  const out = new grpc.Metadata();
  for (const value of metadata.get(ECHO_TRAILING)) out.add(ECHO_TRAILING, value);
  return out;
}

function echoInitial(call: { metadata: grpc.Metadata; sendMetadata(metadata: grpc.Metadata): void }): void {
  const values = call.metadata.get(ECHO_INITIAL);
  if (values.length === 0) return;
  const out = new grpc.Metadata();
  for (const value of values) out.add(ECHO_INITIAL, value);
  call.sendMetadata(out);
}

const payload = (size: number) => ({ payload: { type: 0, body: Buffer.alloc(size) } });

/** What the server has seen, for tests that cut calls short. */
export interface Seen {
  cancelled: number;
}

function handlers(seen: Seen): grpc.UntypedServiceImplementation {
  return {
    EmptyCall: (_call: unknown, done: grpc.sendUnaryData<unknown>) => done(null, {}),
    UnaryCall: (call: Call, done: grpc.sendUnaryData<unknown>) => {
      echoInitial(call);
      const status = call.request.response_status;
      const metadata = trailing(call.metadata);
      if (status !== null && status.code !== 0)
        done({ code: status.code, details: status.message, metadata });
      else done(null, payload(call.request.response_size), metadata);
    },
    StreamingInputCall: (
      call: grpc.ServerReadableStream<{ payload: Payload }, unknown>,
      done: grpc.sendUnaryData<unknown>,
    ) => {
      let size = 0;
      call.on('data', (request) => {
        size += request.payload.body.length;
      });
      call.on('cancelled', () => seen.cancelled++);
      call.on('end', () => done(null, { aggregated_payload_size: size }));
    },
    StreamingOutputCall: (call: grpc.ServerWritableStream<OutputRequest, unknown>) => {
      for (const { size } of call.request.response_parameters) call.write(payload(size));
      call.end();
    },
    FullDuplexCall: (call: grpc.ServerDuplexStream<OutputRequest, unknown>) => {
      echoInitial(call);
      const metadata = trailing(call.metadata);
      let failed = false;
      call.on('data', (request: OutputRequest) => {
        const status = request.response_status;
        if (status !== null && status.code !== 0) {
          failed = true;
          call.emit('error', { code: status.code, details: status.message, metadata });
          return;
        }
        for (const { size } of request.response_parameters) call.write(payload(size));
      });
      call.on('cancelled', () => seen.cancelled++);
      call.on('end', () => {
        if (!failed) call.end(metadata);
      });
    },
  };
}

/** The interop server, on a port of its own. */
export class InteropServer {
  readonly port: number;
  readonly seen: Seen;
  private readonly server: grpc.Server;

  private constructor(server: grpc.Server, port: number, seen: Seen) {
    this.server = server;
    this.port = port;
    this.seen = seen;
  }

  /** @param tls certificate chain and key in PEM; undefined: plaintext */
  static start(tls?: { readonly cert: string; readonly key: string }): Promise<InteropServer> {
    const server = new grpc.Server();
    const seen: Seen = { cancelled: 0 };
    server.addService(TestService.service, handlers(seen));
    const credentials =
      tls === undefined
        ? grpc.ServerCredentials.createInsecure()
        : grpc.ServerCredentials.createSsl(null, [
            { cert_chain: Buffer.from(tls.cert), private_key: Buffer.from(tls.key) },
          ]);
    return new Promise((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', credentials, (error, port) => {
        if (error === null) resolve(new InteropServer(server, port, seen));
        else reject(error);
      });
    });
  }

  async stop(): Promise<void> {
    this.server.forceShutdown();
  }
}
