// node --conditions=dragoman-source packages/discovery/eds/bench/convert.bench.ts

import { ClusterLoadAssignmentSchema, create, fromBinary, toBinary } from '@dragoman/api';
import { toAssignment } from '../src/assignment.ts';
import { sameHosts, toHostList } from '../src/host-list.ts';

const COUNT = 10_000;
const SCENE = { serviceName: 'web', local: false };

const socketAddress = (index: number) => ({
  address: {
    case: 'socketAddress' as const,
    value: {
      address: `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`,
      portSpecifier: { case: 'portValue' as const, value: 8080 },
    },
  },
});

/** In three zones, with metadata as a mesh sends it. */
const bytes = toBinary(
  ClusterLoadAssignmentSchema,
  create(ClusterLoadAssignmentSchema, {
    clusterName: 'web',
    endpoints: [0, 1, 2].map((zone) => ({
      locality: { region: 'eu', zone: `eu-${zone}` },
      loadBalancingWeight: 1,
      lbEndpoints: Array.from({ length: COUNT }, (_, index) => index)
        .filter((index) => index % 3 === zone)
        .map((index) => ({
          hostIdentifier: { case: 'endpoint' as const, value: { address: socketAddress(index) } },
          loadBalancingWeight: 1,
          metadata: { filterMetadata: { 'envoy.lb': { version: `v${index % 4}` } } },
        })),
    })),
  }),
);

const read = () => fromBinary(ClusterLoadAssignmentSchema, bytes);
const convert = (message = read()) => toHostList(toAssignment(message, SCENE), ({ endpoints }) => endpoints);
const message = read();
const list = convert();
const again = convert();

function measure(what: string, work: () => unknown): void {
  const times = Array.from({ length: 15 }, () => {
    const start = performance.now();
    work();
    return performance.now() - start;
  }).sort((a, b) => a - b);
  console.log(`${COUNT} endpoints ${what}: ${times[0].toFixed(1)} ms, median ${times[7].toFixed(1)} ms`);
}

measure('parsed', read);
measure('converted into hosts', () => convert(message));
measure('found to be the same as before', () => sameHosts(list, again));
