import { ClusterLoadAssignmentSchema, ClusterSchema, readLoose } from '@dragoman/api';
import { resource, type XdsResource } from '@dragoman/xds-server';
import { MARK } from '../hosts/arrival.ts';

/** The discard port of addresses that are never connected to. */
const NOWHERE = 9;
const ADS = { ads: {}, resource_api_version: 'V3' };

function endpoint(address: string, port: number, hostname: string) {
  return {
    endpoint: { address: { socket_address: { address, port_value: port } }, hostname },
    metadata: { filter_metadata: { 'envoy.lb': { version: 'v1' } } },
  };
}

function assigned(name: string, endpoints: readonly object[]) {
  const locality = { region: 'eu', zone: 'zone-1' };
  return { cluster_name: name, endpoints: [{ locality, lb_endpoints: endpoints }] };
}

/** Clusters by EDS, or with their endpoints. `generation` makes them others than those before. */
export function clusters(count: number, eds: boolean, generation: number): XdsResource[] {
  return Array.from({ length: count }, (_, i) => {
    const name = `cluster-${generation}-${i}`;
    const hosts = eds
      ? { type: 'EDS', eds_cluster_config: { eds_config: ADS } }
      : { type: 'STATIC', load_assignment: assigned(name, ten(i, generation)) };
    return resource(readLoose(ClusterSchema, { name, connect_timeout: '1s', ...hosts } as never));
  });
}

/** The endpoints of {@link clusters}. */
export function endpointsOf(count: number, generation: number): XdsResource[] {
  return Array.from({ length: count }, (_, i) => endpointsOfOne(i, generation, 0));
}

export function endpointsOfOne(i: number, generation: number, round: number): XdsResource {
  return assignment(`cluster-${generation}-${i}`, ten(i, round));
}

function ten(i: number, round: number): object[] {
  return Array.from({ length: 10 }, (_, n) =>
    endpoint(addressOf(i, round), NOWHERE + n, `web-${n}.example.svc`),
  );
}

const addressOf = (i: number, round: number): string => `127.${1 + (round % 250)}.${i >> 8}.${i & 255}`;

/** Many endpoints for the cluster `name`, of which `changed` are others with each number; the first bears the mark of the number. */
export function manyEndpoints(name: string, count: number, changed: number, number: number): XdsResource {
  const step = Math.floor(count / changed);
  const list = Array.from({ length: count }, (_, i) => {
    const round = i % step === 0 ? number : 0;
    const hostname = i === 0 ? markOf(number) : `web-${i}.example.svc`;
    return endpoint(addressOf(i, round), NOWHERE, hostname);
  });
  return assignment(name, list);
}

export const markOf = (number: number): string => `${MARK}${number}`;

function assignment(name: string, endpoints: readonly object[]): XdsResource {
  return resource(readLoose(ClusterLoadAssignmentSchema, assigned(name, endpoints) as never));
}
