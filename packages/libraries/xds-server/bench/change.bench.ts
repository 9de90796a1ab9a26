// node --conditions dragoman-source packages/libraries/xds-server/bench/change.bench.ts

import {
  AggregatedDiscoveryService,
  ClusterLoadAssignmentSchema,
  create,
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
  DiscoveryRequestSchema,
  fromBinary,
  toBinary,
} from '@dragoman/api';
import { Client, credentials } from '@grpc/grpc-js';
import {
  createXdsServer,
  LinearCache,
  resource,
  SnapshotCache,
  snapshot,
  XdsProtocol,
} from '../src/index.ts';

const RESOURCES = 10_000;
const CHANGES = 200;
const WATCHERS = 100;
const names = Array.from({ length: RESOURCES }, (_, i) => `service-${i}`);
const typeUrl = `type.googleapis.com/${ClusterLoadAssignmentSchema.typeName}`;
const node = { id: 'bench' };

const assignment = (clusterName: string, port: number) =>
  create(ClusterLoadAssignmentSchema, {
    clusterName,
    endpoints: [0, 1, 2].map((host) => ({
      lbEndpoints: [
        {
          hostIdentifier: {
            case: 'endpoint' as const,
            value: {
              address: {
                address: {
                  case: 'socketAddress' as const,
                  value: {
                    address: `10.0.0.${host}`,
                    portSpecifier: { case: 'portValue' as const, value: port },
                  },
                },
              },
            },
          },
        },
      ],
    })),
  });

function report(what: string, times: number[]): void {
  times.sort((a, b) => a - b);
  const at = (share: number): string => `${(times[Math.floor(times.length * share)] * 1000).toFixed(0)} µs`;
  console.log(`${what}: median ${at(0.5)}, 99th percentile ${at(0.99)}`);
}

/** From the change to the response, as a message at the sink. */
async function inProcess(
  what: string,
  protocol: XdsProtocol,
  wildcard: boolean,
  change: (i: number) => void,
): Promise<void> {
  let arrived = (): void => {};
  let nonce = '';
  const stream = protocol.openDelta({
    write(response) {
      nonce = response.nonce;
      arrived();
      return true;
    },
    end() {},
  });
  const next = (): Promise<void> => new Promise((resolve) => (arrived = resolve));
  const first = next();
  stream.receive(
    create(DeltaDiscoveryRequestSchema, { node, typeUrl, resourceNamesSubscribe: wildcard ? ['*'] : names }),
  );
  await first;
  const times: number[] = [];
  for (let i = 0; i < CHANGES; i++) {
    stream.receive(create(DeltaDiscoveryRequestSchema, { typeUrl, responseNonce: nonce }));
    await new Promise(setImmediate);
    const start = performance.now();
    const response = next();
    change(i);
    await response;
    times.push(performance.now() - start);
  }
  report(what, times);
  stream.close();
}

async function overGrpc(): Promise<void> {
  const cache = filled();
  const server = createXdsServer({ cache });
  const port = await server.listen();
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const call = client.makeBidiStreamRequest(
    `/${AggregatedDiscoveryService.typeName}/DeltaAggregatedResources`,
    (message: never) => Buffer.from(toBinary(DeltaDiscoveryRequestSchema, message)),
    (bytes: Buffer) => fromBinary(DeltaDiscoveryResponseSchema, bytes),
  );
  call.on('error', () => {}); // it is cancelled in the end
  const next = (): Promise<DeltaDiscoveryResponse> => new Promise((resolve) => call.once('data', resolve));
  const first = next();
  call.write(create(DeltaDiscoveryRequestSchema, { node, typeUrl, resourceNamesSubscribe: names }) as never);
  let { nonce } = await first;
  const times: number[] = [];
  for (let i = 0; i < CHANGES; i++) {
    call.write(create(DeltaDiscoveryRequestSchema, { typeUrl, responseNonce: nonce }) as never);
    await new Promise((resolve) => setTimeout(resolve, 2));
    const response = next();
    const start = performance.now();
    cache.set(assignment(names[(i * 37) % RESOURCES], 2000 + i));
    ({ nonce } = await response);
    times.push(performance.now() - start);
  }
  report('LinearCache, delta, over gRPC on loopback', times);
  call.cancel();
  client.close();
  await server.close({ graceMs: 0 });
}

/** Others that watch names of their own: what they cost a change that is not theirs. */
function crowd(protocol: XdsProtocol): void {
  for (let i = 0; i < WATCHERS; i++) {
    const stream = protocol.openSotw({ write: () => true, end() {} });
    const own = names.filter((_, at) => at % WATCHERS === i);
    stream.receive(create(DiscoveryRequestSchema, { node, typeUrl, resourceNames: own }));
  }
}

const filled = (): LinearCache =>
  new LinearCache(ClusterLoadAssignmentSchema, { resources: names.map((name) => assignment(name, 80)) });

const start = performance.now();
const linear = filled();
console.log(
  `filling a cache with ${RESOURCES} load assignments: ${(performance.now() - start).toFixed(0)} ms`,
);
let port = 1000;
const changeLinear = (i: number): void => linear.set(assignment(names[(i * 37) % RESOURCES], ++port));
await inProcess('LinearCache, delta', new XdsProtocol({ cache: linear }), false, changeLinear);
const crowded = new XdsProtocol({ cache: linear });
crowd(crowded);
await inProcess(`the same beside ${WATCHERS} other streams`, crowded, false, changeLinear);

const snapshots = new SnapshotCache({ check: 'none' });
const parts = [...linear.view().all()];
snapshots.setSnapshot('bench', snapshot('0', { endpoints: parts }));
await inProcess(
  'SnapshotCache, delta, one resource replaced in a new snapshot',
  new XdsProtocol({ cache: snapshots }),
  true,
  (i) => {
    parts[i] = resource(assignment(parts[i].name, 3000 + i));
    snapshots.setSnapshot('bench', snapshot(`${i + 1}`, { endpoints: parts }));
  },
);
await overGrpc();
