import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import {
  type DescService,
  type DescMessage,
  fromBinary,
  type MessageShape,
  toBinary,
  type Message,
} from '@dragoman/api';
import * as grpc from '@grpc/grpc-js';

/** A backend that answers every call with its name. */
export async function startBackend(name: string): Promise<{ port: number; stop(): void }> {
  const server = new grpc.Server();
  const same = (bytes: Buffer): Buffer => bytes;
  const say = {
    path: '/test.Backend/Say',
    requestStream: false,
    responseStream: false,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
  const answer: grpc.handleUnaryCall<Buffer, Buffer> = (_, done) => done(null, Buffer.from(name));
  server.addService({ say }, { say: answer as grpc.UntypedHandleCall });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return { port, stop: () => server.forceShutdown() };
}

/** A client of grpc-js-xds in a process of its own, which calls a backend that it finds by xDS. */
export class XdsPeer {
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly answers: AsyncIterator<string>;

  constructor(bootstrap: unknown) {
    const script = fileURLToPath(new URL('./xds-client.mjs', import.meta.url));
    const env = { ...process.env, NODE_OPTIONS: '', GRPC_XDS_BOOTSTRAP_CONFIG: JSON.stringify(bootstrap) };
    this.child = spawn(process.execPath, [script], { env });
    this.child.stderr.pipe(process.stderr);
    this.answers = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  /** What the backend says, or `error: …`. */
  async say(): Promise<string> {
    this.child.stdin.write('say\n');
    const { value, done } = await this.answers.next();
    return done === true ? 'error: the client is gone' : value;
  }

  stop(): Promise<void> {
    return new Promise((resolve) => {
      this.child.once('exit', () => resolve());
      this.child.kill();
    });
  }
}

export interface WireStream {
  readonly call: grpc.ClientDuplexStream<Message, Message>;
  readonly status: Promise<grpc.StatusObject>;
  send(message: Message): void;
  next(): Promise<Message>;
}

/** A method of a service, called by grpc-js. */
export function callStream(client: grpc.Client, service: DescService, name: string): WireStream {
  const method = service.methods.find((one) => one.name === name) as DescService['methods'][number];
  const call = client.makeBidiStreamRequest(
    `/${service.typeName}/${name}`,
    write(method.input),
    read(method.output),
  );
  const came: Message[] = [];
  const waiting: ((message: Message) => void)[] = [];
  call.on('data', (message: Message) => {
    const next = waiting.shift();
    if (next === undefined) came.push(message);
    else next(message);
  });
  call.on('error', () => {});
  return {
    call,
    status: new Promise((resolve) => call.on('status', resolve)),
    send: (message) => void call.write(message),
    next: () => {
      const message = came.shift();
      return message === undefined
        ? new Promise((resolve) => waiting.push(resolve))
        : Promise.resolve(message);
    },
  };
}

export function callUnary(
  client: grpc.Client,
  service: DescService,
  name: string,
  request: Message,
): Promise<Message> {
  const method = service.methods.find((one) => one.name === name) as DescService['methods'][number];
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      `/${service.typeName}/${name}`,
      write(method.input),
      read(method.output),
      request,
      (error, reply) => (error === null ? resolve(reply as Message) : reject(error)),
    );
  });
}

const write = (schema: DescMessage) => (message: Message) =>
  Buffer.from(toBinary(schema, message as MessageShape<DescMessage>));
const read = (schema: DescMessage) => (bytes: Buffer) => fromBinary(schema, bytes) as Message;
