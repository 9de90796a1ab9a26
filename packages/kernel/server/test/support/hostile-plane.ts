import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServiceDefinition,
  status,
} from '@grpc/grpc-js';
import {
  AggregatedDiscoveryService,
  type Any,
  AnySchema,
  create,
  type DiscoveryRequest,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
  fromBinary,
  type JsonObject as ApiJson,
  readLoose,
  toBinary,
  typeUrl,
} from '@dragoman/api';
import type { JsonObject } from '@dragoman/testing';
import { KINDS, type KindName } from '@dragoman/xds-server';

type Call = ServerDuplexStream<DiscoveryRequest, Buffer>;

/** What is sent: resources of a kind, or bytes that stand for a whole response. */
export type Sent = { readonly kind: KindName; readonly resources: readonly Any[] } | Buffer;

type World = Readonly<Partial<Record<KindName, readonly Any[]>>>;

/** What it does with a request that is no first one of its type. */
export type OnRequest = (request: DiscoveryRequest, call: Call) => void;

/** A control plane of the state of the world that sends what a test says. To the first request of each type it sends {@link world}. */
export class HostilePlane implements AsyncDisposable {
  port = 0;
  /** Streams that were opened. */
  streams = 0;
  nacks = 0;
  acks = 0;
  /** The longest text of a NACK. */
  longest = 0;
  onRequest: OnRequest = () => {};
  private readonly server = new Server({ 'grpc.max_send_message_length': -1 });
  private readonly world: () => World;
  private readonly calls = new Set<Call>();
  private nonce = 0;

  private constructor(world: () => World) {
    this.world = world;
    const { name, parent } = AggregatedDiscoveryService.method.streamAggregatedResources;
    const definition = {
      stream: {
        path: `/${parent.typeName}/${name}`,
        requestStream: true,
        responseStream: true,
        requestDeserialize: (bytes: Buffer) => fromBinary(DiscoveryRequestSchema, bytes),
        responseSerialize: (bytes: Buffer) => bytes,
      },
    } as unknown as ServiceDefinition;
    this.server.addService(definition, { stream: (call: Call) => this.open(call) });
  }

  static async start(world: () => World): Promise<HostilePlane> {
    const plane = new HostilePlane(world);
    plane.port = await new Promise<number>((resolve, reject) => {
      plane.server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
        error === null ? resolve(port) : reject(error),
      );
    });
    return plane;
  }

  /** To whoever is connected. */
  send(sent: Sent): void {
    for (const call of this.calls) this.sendOn(call, sent);
  }

  sendOn(call: Call, sent: Sent): void {
    call.write(Buffer.isBuffer(sent) ? sent : this.response(sent));
  }

  response({ kind, resources }: Exclude<Sent, Buffer>): Buffer {
    const nonce = `${++this.nonce}`;
    const message = { typeUrl: KINDS[kind].typeUrl, versionInfo: nonce, nonce, resources: [...resources] };
    return Buffer.from(toBinary(DiscoveryResponseSchema, create(DiscoveryResponseSchema, message)));
  }

  endAll(): void {
    for (const call of this.calls) call.emit('error', { code: status.UNAVAILABLE, details: 'flapping' });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.forceShutdown();
  }

  private open(call: Call): void {
    this.streams++;
    this.calls.add(call);
    const seen = new Set<string>();
    call.on('data', (request: DiscoveryRequest) => {
      if (request.errorDetail !== undefined) {
        this.nacks++;
        this.longest = Math.max(this.longest, request.errorDetail.message.length);
      } else if (request.responseNonce !== '') this.acks++;
      if (seen.has(request.typeUrl)) this.onRequest(request, call);
      else this.answer(request.typeUrl, call);
      seen.add(request.typeUrl);
    });
    const gone = (): void => void this.calls.delete(call);
    call.on('error', gone);
    call.on('cancelled', gone);
    call.on('end', () => {
      gone();
      call.end();
    });
  }

  private answer(url: string, call: Call): void {
    for (const [kind, resources] of Object.entries(this.world()) as [KindName, readonly Any[]][])
      if (KINDS[kind].typeUrl === url) this.sendOn(call, { kind, resources });
  }
}

/** A resource of a kind. */
export function anyOf(kind: KindName, json: JsonObject): Any {
  const { schema } = KINDS[kind];
  return create(AnySchema, {
    typeUrl: typeUrl(schema),
    value: toBinary(schema, readLoose(schema, json as ApiJson)),
  });
}
