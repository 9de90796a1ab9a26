import { once } from 'node:events';
import { createServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { Server, ServerCredentials, type ServerDuplexStream, type ServiceDefinition } from '@grpc/grpc-js';
import {
  AggregatedDiscoveryService,
  anyPack,
  ClusterLoadAssignmentSchema as EDS,
  ClusterSchema as CDS,
  create,
  DeltaDiscoveryResponseSchema,
  DiscoveryResponseSchema,
  EndpointDiscoveryService,
  fromBinary,
  toBinary,
  typeUrl,
} from '@dragoman/api';
import type { DeltaDiscoveryRequest, DiscoveryRequest } from '@dragoman/api';
import type { DescMessage, DescMethodStreaming, MessageShape } from '@bufbuild/protobuf';
import { ConfigError, systemClock, systemRandom } from '@dragoman/core';
import { createGrpcClientFactory } from '@dragoman/grpc';
import { Http2Clusters } from '@dragoman/grpc-testing';
import { eventually, testContext } from '@dragoman/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { createXds, type Xds } from '../src/index.ts';
import {
  ADS,
  apiSource,
  describe as shown,
  NODE,
  resource,
  source,
  Subscriber,
  type Variant,
} from './support/rig.ts';

type Request = DiscoveryRequest | DeltaDiscoveryRequest;
type Call = ServerDuplexStream<Request, MessageShape<DescMessage>>;

function definition(method: DescMethodStreaming<DescMessage, DescMessage>): ServiceDefinition {
  const write = (desc: DescMessage) => (message: MessageShape<DescMessage>) =>
    Buffer.from(toBinary(desc, message));
  const read = (desc: DescMessage) => (bytes: Buffer) => fromBinary(desc, bytes);
  return {
    stream: {
      path: `/${method.parent.typeName}/${method.name}`,
      requestStream: true,
      responseStream: true,
      requestSerialize: write(method.input),
      requestDeserialize: read(method.input),
      responseSerialize: write(method.output),
      responseDeserialize: read(method.output),
    },
  } as unknown as ServiceDefinition;
}

/** A control plane on grpc-js: what it was asked, and what it says. */
class ControlPlane {
  readonly asked: string[] = [];
  readonly calls: Call[] = [];
  readonly server = new Server();
  port = 0;

  async start(methods: readonly DescMethodStreaming<DescMessage, DescMessage>[], port = 0): Promise<this> {
    for (const method of methods)
      this.server.addService(definition(method), {
        stream: (call: Call) => {
          this.calls.push(call);
          call.on('data', (request: Request) => this.asked.push(shown(request)));
          call.on('error', () => {});
          call.on('end', () => call.end());
        },
      } as never);
    this.port = await new Promise<number>((resolve, reject) =>
      this.server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      ),
    );
    return this;
  }

  say(variant: Variant, type: DescMessage, version: string, texts: Record<string, string>): void {
    const bodies = Object.entries(texts).map(([name, text]) => ({
      name,
      any: anyPack(type, resource(type, name, text)),
    }));
    const common = { typeUrl: typeUrl(type), nonce: `n${version}` };
    this.calls.at(-1)?.write(
      variant === 'sotw'
        ? create(DiscoveryResponseSchema, {
            ...common,
            versionInfo: version,
            resources: bodies.map(({ any }) => any),
          })
        : create(DeltaDiscoveryResponseSchema, {
            ...common,
            systemVersionInfo: version,
            resources: bodies.map(({ name, any }) => ({ name, version, resource: any })),
          }),
    );
  }
}

const METHODS = [
  AggregatedDiscoveryService.method.streamAggregatedResources,
  AggregatedDiscoveryService.method.deltaAggregatedResources,
  EndpointDiscoveryService.method.streamEndpoints,
] as unknown as readonly DescMethodStreaming<DescMessage, DescMessage>[];

describe('a control plane on grpc-js', () => {
  let clean: (() => void)[] = [];
  afterEach(() => {
    for (const one of clean.reverse()) one();
    clean = [];
  });

  function connect(variant: Variant, ports: Record<string, number>): { xds: Xds; open: typeof open } {
    const context = testContext({ clock: systemClock as never, random: systemRandom as never });
    const clusters = new Http2Clusters();
    for (const [name, port] of Object.entries(ports)) clusters.add(name, port, context.stats);
    const grpc = createGrpcClientFactory({ context, clusters });
    const retry = { retry_policy: { retry_back_off: { base_interval: '0.005s', max_interval: '0.02s' } } };
    const services = Object.keys(ports).map((name) => ({ envoy_grpc: { cluster_name: name, ...retry } }));
    const xds = createXds({
      context,
      grpc,
      node: NODE,
      adsConfig: apiSource(variant, { grpc_services: services }),
    });
    clean.push(
      () => clusters.close(),
      () => xds.close(),
    );
    const open = (type: DescMessage, names: string[] | undefined, config: unknown = ADS) => {
      const subscriber = new Subscriber();
      xds.subscriptions.subscribe({
        source: config,
        type,
        names,
        stats: context.stats.scope('test'),
        callbacks: subscriber,
      });
      return subscriber;
    };
    return { xds, open };
  }

  async function serve(port = 0): Promise<ControlPlane> {
    const plane = await new ControlPlane().start(METHODS, port);
    clean.push(() => plane.server.forceShutdown());
    return plane;
  }

  it.each(['sotw', 'delta'] as const)(
    'gives clusters and endpoints on one stream, is refused, and comes back (%s)',
    async (variant) => {
      const plane = await serve();
      const { open } = connect(variant, { xds: plane.port });
      const clusters = open(CDS, undefined);
      const endpoints = open(EDS, ['a']);
      const by = (sotw: string[], delta: string[]) => (variant === 'sotw' ? sotw : delta);
      await eventually(() => expect(plane.asked).toEqual(by(['CDS v []', 'EDS v [a]'], ['CDS', 'EDS +a'])));
      plane.asked.length = 0;
      plane.say(variant, CDS, '1', { a: 'x' });
      plane.say(variant, EDS, '1', { a: 'x' });
      await eventually(() =>
        expect(plane.asked).toEqual(by(['CDS v1 n1 []', 'EDS v1 n1 [a]'], ['CDS n1', 'EDS n1'])),
      );
      endpoints.answer = () => {
        throw ConfigError.at('a', 'no');
      };
      plane.say(variant, EDS, '2', { a: 'y' });
      await eventually(() => expect(plane.asked.at(-1)).toMatch(/NACK 3: a: no$/));
      plane.asked.length = 0;
      const { port } = plane;
      plane.server.forceShutdown();
      await eventually(() => expect(clusters.events).toContain('connection'));
      const again = await serve(port);
      await eventually(() =>
        expect(again.asked).toEqual(by(['CDS v1 []', 'EDS v1 [a]'], ['CDS {a:1}', 'EDS +a {a:1}'])),
      );
      endpoints.answer = () => {};
      again.say(variant, EDS, '3', { a: 'z' });
      await eventually(() => expect(endpoints.events).toContain('+a=z v3'));
    },
  );

  it('is the second one where the first cannot be reached', async () => {
    const plane = await serve();
    const gone = await serve();
    gone.server.forceShutdown();
    const { open } = connect('delta', { first: gone.port, second: plane.port });
    const endpoints = open(EDS, ['a']);
    await eventually(() => expect(plane.asked).toEqual(['EDS +a']));
    plane.say('delta', EDS, '1', { a: 'x' });
    await eventually(() => expect(endpoints.events).toContain('+a=x v1'));
  });

  it('is heard however much it says', async () => {
    const plane = await serve();
    const { xds, open } = connect('sotw', { xds: plane.port });
    const own = {
      api_type: 'GRPC',
      transport_api_version: 'V3',
      grpc_services: [{ envoy_grpc: { cluster_name: 'xds' } }],
    };
    const endpoints = open(EDS, ['a'], source({ api_config_source: own }));
    endpoints.answer = () => new Promise((resolve) => setImmediate(resolve));
    await eventually(() => expect(plane.asked).toEqual(['EDS v [a]']));
    for (let i = 1; i <= 2000; i++) plane.say('sotw', EDS, String(i), { a: String(i) });
    await eventually(() => expect(plane.asked.at(-1)).toBe('EDS v2000 n2000 [a]'));
    const [report] = xds.report().types;
    expect(endpoints.events.at(-1)).toBe('+a=2000 v2000');
    expect(endpoints.events.length + report.skipped).toBe(2000);
  });

  it('that answers with 100 MB loses its stream, and is asked again with back-off', async () => {
    const size = 100 * 1024 * 1024;
    let streams = 0;
    let sent = 0;
    const server = createServer();
    server.on('stream', (stream: ServerHttp2Stream) => {
      streams++;
      stream.on('error', () => {});
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
      const head = Buffer.alloc(5);
      head.writeUInt32BE(size, 1);
      stream.write(head);
      const more = () => {
        while (!stream.destroyed && sent < size) {
          sent += CHUNK.length;
          if (!stream.write(CHUNK)) {
            stream.once('drain', more);
            return;
          }
        }
      };
      more();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    clean.push(() => server.close());
    const { open, xds } = connect('delta', { xds: (server.address() as AddressInfo).port });
    const endpoints = open(EDS, ['a']);
    await eventually(() => expect(streams).toBeGreaterThan(2));
    expect(endpoints.events.slice(0, 2)).toEqual(['connection', 'connection']);
    expect(sent).toBeLessThan(size / 2);
    expect(xds.report().types).toMatchObject([
      { version: '', resources: [{ name: 'a', status: 'REQUESTED' }] },
    ]);
  });
});

const CHUNK = Buffer.alloc(256 * 1024);
