import { isDeepStrictEqual } from 'node:util';
import { type EndpointData, type HostListUpdate, type LocalityEndpoints, sameEndpoint } from '@dragoman/core';
import type { AssignedLocality, Assignment } from './assignment.ts';

/**
 * The hosts of an assignment, as in Envoy: of endpoints with one address the first counts, wherever the others are; entries of one
 * locality and priority are one, with the last weight that any has.
 *
 * @param endpointsOf those of a locality, in its own entry or in its collection
 */
export function toHostList(
  { localities, policy }: Assignment,
  endpointsOf: (locality: AssignedLocality) => Iterable<EndpointData>,
): HostListUpdate {
  const addresses = new Set<string>();
  const groups = new Map<
    string,
    LocalityEndpoints & { weight: number; readonly endpoints: EndpointData[] }
  >();
  for (const entry of localities) {
    const { locality, priority, weight } = entry;
    const place = placeOf(entry);
    let group = groups.get(place);
    if (group === undefined) groups.set(place, (group = { locality, priority, weight, endpoints: [] }));
    if (weight > 0) group.weight = weight;
    for (const endpoint of endpointsOf(entry)) {
      if (addresses.has(endpoint.address)) continue;
      addresses.add(endpoint.address);
      group.endpoints.push(endpoint);
    }
  }
  return { ...policy, localities: [...groups.values()] };
}

/** Before the first update. */
export const NO_HOSTS: HostListUpdate = { localities: [] };

/** Whether two lists of {@link toHostList} have the same hosts in the same places. Their order makes no difference. */
export function sameHosts(one: HostListUpdate, other: HostListUpdate): boolean {
  const left = new Members(one);
  const right = new Members(other);
  return (
    (one.overprovisioningFactor ?? 140) === (other.overprovisioningFactor ?? 140) &&
    one.weightedPriorityHealth === other.weightedPriorityHealth &&
    isDeepStrictEqual(left.weights, right.weights) &&
    left.equals(right)
  );
}

/** The hosts of a list one after the other, and where each is. */
class Members {
  readonly weights = new Map<string, number>();
  private readonly endpoints: EndpointData[] = [];
  private readonly places: string[] = [];

  constructor({ localities }: HostListUpdate) {
    for (const group of localities) {
      const place = placeOf(group);
      if (group.weight > 0) this.weights.set(place, group.weight);
      for (const endpoint of group.endpoints) {
        this.endpoints.push(endpoint);
        this.places.push(place);
      }
    }
  }

  equals(other: Members): boolean {
    const { length } = this.endpoints;
    if (other.endpoints.length !== length) return false;
    let index: Map<string, number> | undefined;
    for (let at = 0; at < length; at++) {
      const { address } = this.endpoints[at];
      // As a rule a server lists them in the same order each time.
      let where: number | undefined = at;
      if (other.endpoints[at].address !== address) {
        index ??= new Map(other.endpoints.map((endpoint, position) => [endpoint.address, position]));
        where = index.get(address);
      }
      if (where === undefined || this.places[at] !== other.places[where]) return false;
      if (!sameEndpoint(this.endpoints[at], other.endpoints[where])) return false;
    }
    return true;
  }
}

function placeOf({
  priority,
  locality: { region, zone, subZone },
}: Pick<LocalityEndpoints, 'priority' | 'locality'>): string {
  return `${priority}\0${region}\0${zone}\0${subZone}`;
}
