import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
} from '@grpc/grpc-js';
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
  GrpcServiceSchema,
  type MessageShape,
  readLoose,
  toBinary,
} from '@dragoman/api';
import { type GrpcClient, systemClock } from '@dragoman/core';
import { Http2TestPool } from '@dragoman/grpc-testing';
import { testContext } from '@dragoman/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createGrpcClientFactory } from '../src/index.ts';
import { MemoryCluster, MemoryClusters } from './support/memory-cluster.ts';

const { check } = Authorization.method;
const { streamAggregatedResources } = AggregatedDiscoveryService.method;

/** What the peer is to do, in `context_extensions`. */
function asked(contextExtensions: Record<string, string>): CheckRequest {
  return create(CheckRequestSchema, { attributes: { contextExtensions } });
}

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

function onCheck(
  call: ServerUnaryCall<CheckRequest, CheckResponse>,
  callback: sendUnaryData<CheckResponse>,
): void {
  const { code, silent, size } = call.request.attributes?.contextExtensions ?? {};
  if (silent !== undefined) return;
  if (code !== undefined) {
    const metadata = new Metadata();
    metadata.set('grpc-status-details-bin', Buffer.from([8, 7]));
    callback({ code: Number(code), details: 'nicht für dich', metadata });
    return;
  }
  const headers = new Metadata();
  headers.set('x-seen', String(call.metadata.get('x-sent')));
  headers.set('seen-bin', call.metadata.get('sent-bin')[0] as Buffer);
  call.sendMetadata(headers);
  callback(null, create(CheckResponseSchema, { status: { message: 'a'.repeat(Number(size ?? 1)) } }));
}

function onStream(call: ServerDuplexStream<DiscoveryRequest, DiscoveryResponse>): void {
  call.on('data', ({ versionInfo }: DiscoveryRequest) =>
    call.write(create(DiscoveryResponseSchema, { versionInfo })),
  );
  call.on('end', () => call.end());
}

async function serve(): Promise<{ server: Server; pool: Http2TestPool; client: GrpcClient }> {
  const server = new Server();
  const authorization = {
    check: method(
      '/envoy.service.auth.v3.Authorization/Check',
      false,
      CheckRequestSchema,
      CheckResponseSchema,
    ),
  };
  const discovery = {
    stream: method(
      '/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources',
      true,
      DiscoveryRequestSchema,
      DiscoveryResponseSchema,
    ),
  };
  server.addService(authorization as unknown as ServiceDefinition, { check: onCheck } as never);
  server.addService(discovery as unknown as ServiceDefinition, { stream: onStream } as never);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  const pool = new Http2TestPool(port);
  const context = testContext({ clock: systemClock as never });
  const clusters = new MemoryClusters();
  const cluster = new MemoryCluster('authz', context.stats);
  cluster.httpPool = () => pool;
  clusters.byName.set('authz', cluster);
  const factory = createGrpcClientFactory({ context, clusters });
  const config = readLoose(GrpcServiceSchema, { envoy_grpc: { cluster_name: 'authz' } });
  return { server, pool, client: factory.create(config) };
}

// The independent peer. Its servers take compressed messages, and send none.
describe('a server of grpc-js', () => {
  let peer: Awaited<ReturnType<typeof serve>>;
  beforeAll(async () => {
    peer = await serve();
  });
  afterAll(async () => {
    await peer.pool.close();
    peer.server.forceShutdown();
  });

  it('answers', async () => {
    const result = await peer.client.unaryPromise(check, asked({ size: '100000' }), {
      metadata: [
        ['x-sent', 'yes'],
        ['sent-bin', Buffer.from([0, 255])],
      ],
    });
    if (!result.ok) throw new Error(JSON.stringify(result.status));
    expect(result.response.status?.message).toBe('a'.repeat(100_000));
    expect(result.headers.get('x-seen')).toBe('yes');
    expect(Buffer.from(result.headers.get('seen-bin') ?? '', 'base64')).toEqual(Buffer.from([0, 255]));
    expect(result.headers.get('grpc-encoding') ?? 'identity').toBe('identity');
  });

  it('refuses', async () => {
    const result = await peer.client.unaryPromise(check, asked({ code: '7' }));
    expect(result).toMatchObject({ ok: false, status: { code: 7, message: 'nicht für dich' } });
    expect(Buffer.from(result.status.statusDetails ?? [])).toEqual(Buffer.from([8, 7]));
  });

  it('does not know a method', async () => {
    const unknown = { ...check, name: 'Unknown' };
    const result = await peer.client.unaryPromise(unknown as typeof check, asked({}));
    expect(result.status.code).toBe(12);
  });

  it('is too late', async () => {
    const result = await peer.client.unaryPromise(check, asked({ silent: '' }), { timeoutMs: 50 });
    expect(result.status.code).toBe(4);
  });

  it('echoes a stream, whose reader pauses and whose writer waits', async () => {
    const count = 300;
    const seen: string[] = [];
    const status = await new Promise((resolve) => {
      let sent = 0;
      const write = (): void => {
        let goOn = true;
        while (goOn && sent < count)
          goOn = stream.send(
            create(DiscoveryRequestSchema, { versionInfo: String(sent++).padEnd(10_000, '.') }),
          );
        if (sent === count) stream.closeSend();
      };
      const stream = peer.client.stream(streamAggregatedResources, undefined, {
        onMessage({ versionInfo }) {
          seen.push(versionInfo);
          if (seen.length % 50 !== 0) return;
          stream.pause();
          setImmediate(() => stream.resume());
        },
        onWritable: write,
        onEnd: resolve,
      });
      write();
    });
    expect(status).toMatchObject({ code: 0 });
    expect(seen.map((text) => Number.parseInt(text, 10))).toEqual(Array.from({ length: count }, (_, i) => i));
  });
});
