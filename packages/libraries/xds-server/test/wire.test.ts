import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import {
  AggregatedDiscoveryService,
  create,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryRequestSchema,
  DiscoveryRequestSchema,
  type DiscoveryResponse,
  type Message,
} from '@dragoman/api';
import { TestAuthority } from '@dragoman/testing';
import * as grpc from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from 'vitest';
import {
  createXdsServer,
  KIND_NAMES,
  KINDS,
  LinearCache,
  resource,
  type ResourceInput,
  SnapshotCache,
  snapshot,
  type Peer,
  type XdsServerOptions,
  XdsError,
} from '../src/index.ts';
import { settle } from './support/client.ts';
import { callStream, callUnary } from './support/peer.ts';
import { cluster, endpoints, node } from './support/resources.ts';

const started: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of started.splice(0).reverse()) await stop();
});

async function start(options: XdsServerOptions) {
  const server = createXdsServer(options);
  started.push(() => server.close());
  const port = await server.listen();
  const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
  });
  started.push(() => client.close());
  return { server, client, port };
}

function everything(): SnapshotCache {
  const cache = new SnapshotCache();
  const parts = KIND_NAMES.map((name): [string, ResourceInput[]] => {
    const { schema } = KINDS[name];
    const field = name === 'endpoints' ? 'clusterName' : 'name';
    return [name, [create(schema, { [field]: `a/${name}` } as never)]];
  });
  cache.setSnapshot('test', snapshot('1', Object.fromEntries(parts)));
  return cache;
}

describe('over gRPC', () => {
  it.each(KIND_NAMES)('has the service of %s, in every way that it has', async (name) => {
    const { client } = await start({ cache: everything() });
    const { service, typeUrl } = KINDS[name];
    const ways = service.methods.map((method) => method.name);
    expect(ways).toHaveLength(name === 'virtualHosts' ? 1 : 3);
    for (const method of service.methods) {
      if (method.methodKind === 'unary') {
        const request = create(DiscoveryRequestSchema, { node: node('test') });
        expect(await callUnary(client, service, method.name, request)).toMatchObject({
          versionInfo: '1',
          typeUrl,
        });
        continue;
      }
      const stream = callStream(client, service, method.name);
      const delta = method.name.startsWith('Delta');
      stream.send(
        create(delta ? DeltaDiscoveryRequestSchema : DiscoveryRequestSchema, { node: node('test') }),
      );
      const response = (await stream.next()) as DiscoveryResponse | DeltaDiscoveryResponse;
      expect(response).toMatchObject({ typeUrl, nonce: '1' });
      expect(response.resources).toHaveLength(1);
      stream.call.end();
      expect(await stream.status).toMatchObject({ code: grpc.status.OK });
    }
  });

  it('updates, hears of acknowledgements, and ends streams when it closes', async () => {
    const cache = new SnapshotCache();
    const { promise, resolve } = Promise.withResolvers<string>();
    const { server, client } = await start({
      cache,
      callbacks: { onNack: (_, { error }) => resolve(error.message) },
    });
    const stream = callStream(client, AggregatedDiscoveryService, 'StreamAggregatedResources');
    const { typeUrl } = KINDS.clusters;
    cache.setSnapshot('test', snapshot('1', { clusters: [cluster('a')] }));
    stream.send(create(DiscoveryRequestSchema, { node: node('test'), typeUrl }));
    const { nonce } = (await stream.next()) as DiscoveryResponse;
    const request = { typeUrl, responseNonce: nonce };
    stream.send(
      create(DiscoveryRequestSchema, { ...request, errorDetail: { code: 3, message: 'schlecht' } }),
    );
    expect(await promise).toBe('schlecht');
    cache.setSnapshot('test', snapshot('2', { clusters: [cluster('b')] }));
    expect(await stream.next()).toMatchObject({ versionInfo: '2' });
    const [open] = server.protocol.streams;
    expect(open.peer.address).toMatch(/^127\.0\.0\.1:\d+$/);
    await server.close();
    expect(await stream.status).toMatchObject({
      code: grpc.status.UNAVAILABLE,
      details: 'the control plane is closing',
    });
  });

  it('forgets a client whose connection breaks', async () => {
    const cache = everything();
    const { promise, resolve } = Promise.withResolvers<void>();
    const { server, client } = await start({ cache, callbacks: { onStreamClosed: () => resolve() } });
    const stream = callStream(client, AggregatedDiscoveryService, 'DeltaAggregatedResources');
    stream.send(create(DeltaDiscoveryRequestSchema, { node: node('test'), typeUrl: KINDS.clusters.typeUrl }));
    await stream.next();
    stream.call.cancel();
    await promise;
    expect([...server.protocol.streams]).toEqual([]);
    expect(cache.status('test')).toBeUndefined();
  });

  it('lets clients in by what callbacks say of header and node', async () => {
    const { client } = await start({
      cache: everything(),
      callbacks: {
        async onStreamOpen({ peer }: { peer: Peer }) {
          await settle();
          if (peer.header('authorization') !== 'let me in')
            throw new XdsError('UNAUTHENTICATED', 'who are you?');
        },
      },
    });
    const request: Message = create(DiscoveryRequestSchema, {
      node: node('test'),
      typeUrl: KINDS.clusters.typeUrl,
    });
    const stranger = callStream(client, AggregatedDiscoveryService, 'StreamAggregatedResources');
    stranger.send(request);
    expect(await stranger.status).toMatchObject({
      code: grpc.status.UNAUTHENTICATED,
      details: 'who are you?',
    });
  });

  it('serves TLS, and knows the certificate of its client', async () => {
    const root = TestAuthority.root();
    const own = root.issue({ san: [{ dns: 'localhost' }] });
    const theirs = root.issue({ subject: 'CN=client' });
    const peers: Peer[] = [];
    const ca = Buffer.from(root.pem);
    const pair = (one: typeof own) => ({
      private_key: Buffer.from(one.keyPem),
      cert_chain: Buffer.from(one.pem),
    });
    const { port } = await start({
      cache: everything(),
      credentials: grpc.ServerCredentials.createSsl(ca, [pair(own)], true),
      callbacks: { onStreamOpen: ({ peer }) => void peers.push(peer) },
    });
    const mine = pair(theirs);
    const client = new grpc.Client(
      `localhost:${port}`,
      grpc.credentials.createSsl(ca, mine.private_key, mine.cert_chain),
    );
    started.push(() => client.close());
    const stream = callStream(client, KINDS.clusters.service, 'StreamClusters');
    stream.send(create(DiscoveryRequestSchema, { node: node('test') }));
    await stream.next();
    expect(Buffer.from(peers[0].certificate ?? [])).toEqual(theirs.der);
    stream.call.cancel();
  });

  it('carries what is large to a client that reads slowly, one state for many changes', async () => {
    const cache = new LinearCache('endpoints');
    const set = (port: number): void =>
      cache.update({
        set: Array.from({ length: 400 }, (_, i) => endpoints(`${'x'.repeat(1000)}-${i}`, port)),
      });
    set(1);
    const { client } = await start({ cache });
    const stream = callStream(client, AggregatedDiscoveryService, 'DeltaAggregatedResources');
    const { typeUrl } = KINDS.endpoints;
    stream.call.pause();
    stream.send(create(DeltaDiscoveryRequestSchema, { node: node('test'), typeUrl }));
    for (let port = 2; port < 20; port++) {
      set(port);
      await settle();
    }
    stream.call.resume();
    let { nonce } = (await stream.next()) as DeltaDiscoveryResponse;
    stream.send(create(DeltaDiscoveryRequestSchema, { typeUrl, responseNonce: nonce }));
    let response = (await stream.next()) as DeltaDiscoveryResponse;
    ({ nonce } = response);
    expect(Number(nonce)).toBeLessThan(5);
    expect(response.resources).toHaveLength(400);
    cache.set(resource(endpoints('last')));
    stream.send(create(DeltaDiscoveryRequestSchema, { typeUrl, responseNonce: nonce }));
    response = (await stream.next()) as DeltaDiscoveryResponse;
    expect(response.resources).toMatchObject([{ name: 'last' }]);
    stream.call.cancel();
  });

  it('listens on a Unix socket, and has room for so many streams', async () => {
    const path = join(mkdtempSync(join(tmpdir(), 'xds-')), 'socket');
    const server = createXdsServer({ cache: everything(), limits: { streams: 1 } });
    started.push(
      () => rmSync(dirname(path), { recursive: true }),
      () => server.close(),
    );
    expect(await server.listen({ path })).toBe(0);
    const client = new grpc.Client(`unix:${path}`, grpc.credentials.createInsecure());
    started.push(() => client.close());
    const { service } = KINDS.clusters;
    const request = create(DiscoveryRequestSchema, { node: node('test') });
    const first = callStream(client, service, 'StreamClusters');
    first.send(request);
    await first.next();
    const second = callStream(client, service, 'StreamClusters');
    second.send(request);
    expect(await second.status).toMatchObject({ code: grpc.status.RESOURCE_EXHAUSTED });
    first.call.cancel();
  });

  it('refuses a second server at its port', async () => {
    const { port } = await start({ cache: everything() });
    grpc.setLogVerbosity(grpc.logVerbosity.NONE);
    const second = createXdsServer({ cache: everything() });
    await expect(second.listen({ port })).rejects.toThrow();
    grpc.setLogVerbosity(grpc.logVerbosity.ERROR);
    await second.close();
  });
});
