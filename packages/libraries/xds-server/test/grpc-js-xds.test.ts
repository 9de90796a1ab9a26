import { type Cluster, readLoose, ClusterSchema } from '@dragoman/api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createXdsServer,
  SnapshotCache,
  snapshot,
  type SnapshotParts,
  type XdsServer,
} from '../src/index.ts';
import { startBackend, XdsPeer } from './support/peer.ts';
import { edsCluster, endpoints, listener, routes } from './support/resources.ts';

type Backend = Awaited<ReturnType<typeof startBackend>>;

// The independent peer: gRPC's own client of xDS finds its backends through this control plane.
describe('a client of grpc-js-xds', () => {
  const cache = new SnapshotCache();
  const acks: string[] = [];
  const nacks: string[] = [];
  let wake = (): void => {};
  let server: XdsServer;
  let client: XdsPeer;
  let one: Backend;
  let other: Backend;

  const short = (url: string): string => url.slice(url.lastIndexOf('.') + 1);
  const until = async (done: () => boolean): Promise<void> => {
    while (!done()) await new Promise<void>((resolve) => (wake = resolve));
  };
  const set = (version: string, port: number, over: SnapshotParts = {}): void => {
    const parts = {
      listeners: [listener('greeter', 'way')],
      routes: [routes('way', 'backend')],
      clusters: [edsCluster('backend', 'backend-hosts')],
      endpoints: [endpoints('backend-hosts', port)],
      ...over,
    };
    cache.setSnapshot('grpc-client', snapshot(version, parts));
  };

  beforeAll(async () => {
    [one, other] = await Promise.all([startBackend('one'), startBackend('other')]);
    server = createXdsServer({
      cache,
      callbacks: {
        onAck(_, { typeUrl, version }) {
          acks.push(`${short(typeUrl)} ${version}`);
          wake();
        },
        onNack(_, { typeUrl, version }) {
          nacks.push(`${short(typeUrl)} ${version}`);
          wake();
        },
      },
    });
    const port = await server.listen();
    client = new XdsPeer({
      xds_servers: [
        {
          server_uri: `127.0.0.1:${port}`,
          channel_creds: [{ type: 'insecure' }],
          server_features: ['xds_v3'],
        },
      ],
      node: { id: 'grpc-client', locality: { region: 'here' } },
    });
  });
  afterAll(async () => {
    await client.stop();
    await server.close({ graceMs: 0 });
    one.stop();
    other.stop();
  });

  it('finds a backend through LDS, RDS, CDS and EDS, and follows it', async () => {
    set('1', one.port);
    expect(await client.say()).toBe('one');
    expect(nacks).toEqual([]);
    for (const type of ['Listener', 'RouteConfiguration', 'Cluster', 'ClusterLoadAssignment'])
      expect(acks).toContain(`${type} 1`);

    set('2', other.port);
    await until(() => acks.includes('ClusterLoadAssignment 2'));
    while ((await client.say()) !== 'other');

    // A cluster that the client does not accept: it says so, and goes on with what it has.
    const bad: Cluster = readLoose(ClusterSchema, {
      name: 'backend',
      type: 'ORIGINAL_DST',
      lb_policy: 'CLUSTER_PROVIDED',
    });
    set('3', other.port, { clusters: [bad] });
    await until(() => nacks.includes('Cluster 3'));
    expect(await client.say()).toBe('other');
    const [stream] = server.protocol.streams;
    const clusters = stream.status().find(({ typeUrl }) => short(typeUrl) === 'Cluster');
    expect(clusters).toMatchObject({
      sentVersion: '3',
      ackedVersion: '2',
      error: expect.stringContaining('ORIGINAL_DST'),
    });
    set('4', one.port);
    await until(() => acks.includes('Cluster 4') && acks.includes('ClusterLoadAssignment 4'));
    while ((await client.say()) !== 'one');

    set('5', one.port, { listeners: [] });
    await until(() => acks.includes('Listener 5'));
    while (!(await client.say()).startsWith('error: '));
  }, 20_000);
});
