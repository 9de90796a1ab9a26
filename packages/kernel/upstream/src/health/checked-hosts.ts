import { type EndpointData, HealthFlag, type HostListUpdate, type LocalityEndpoints } from '@dragoman/core';
import { identityOf } from '../hosts/identity.ts';
import { sameLocality } from '../hosts/local-zone.ts';

/** What main knows of hosts beyond what their source says. */
export interface HostKnowledge {
  /** Bits of {@link HealthFlag}. */
  flagsOf(identity: string): number;
  /** See {@link EndpointData.outcomeRow}. */
  rowOf(identity: string): number | undefined;
}

/** Puts what checks came to into host lists. What has not changed stays the same object, so that workers look at what has. */
export class CheckedHosts {
  private readonly knowledge: HostKnowledge;
  private known = new Map<EndpointData, EndpointData>();
  private groups = new Map<LocalityEndpoints, LocalityEndpoints>();

  constructor(knowledge: HostKnowledge) {
    this.knowledge = knowledge;
  }

  apply(update: HostListUpdate): HostListUpdate {
    const known = new Map<EndpointData, EndpointData>();
    const groups = new Map<LocalityEndpoints, LocalityEndpoints>();
    const localities = update.localities.map((group) => {
      const endpoints = group.endpoints.map((endpoint) => {
        const checked = this.checkedOf(endpoint);
        known.set(endpoint, checked);
        return checked;
      });
      const before = this.groups.get(group);
      const same = before !== undefined && endpoints.every((endpoint, i) => endpoint === before.endpoints[i]);
      const checked = same ? before : { ...group, endpoints };
      groups.set(group, checked);
      return checked;
    });
    this.known = known;
    this.groups = groups;
    return { ...update, localities };
  }

  private checkedOf(endpoint: EndpointData): EndpointData {
    const identity = identityOf(endpoint);
    const flags = this.knowledge.flagsOf(identity) | ((endpoint.checked ?? 0) & KEPT);
    const row = this.knowledge.rowOf(identity);
    const fits = (one: EndpointData): boolean => (one.checked ?? 0) === flags && one.outcomeRow === row;
    const before = this.known.get(endpoint);
    if (before !== undefined && fits(before)) return before;
    return fits(endpoint) ? endpoint : { ...endpoint, checked: flags, outcomeRow: row };
  }
}

/** Decided by whoever keeps hosts that their source has forgotten. */
const KEPT = HealthFlag.pending_dynamic_removal;

/**
 * Keeps hosts that their source no longer lists for as long as their checks pass (Envoy: `ignore_health_on_host_removal: false`). They
 * stand in the locality they were in.
 */
export class Stabilizer {
  private readonly mayStay: (endpoint: EndpointData) => boolean;
  private listed: HostListUpdate | undefined = undefined;
  private kept = new Map<string, { readonly endpoint: EndpointData; readonly group: LocalityEndpoints }>();

  constructor(mayStay: (endpoint: EndpointData) => boolean) {
    this.mayStay = mayStay;
  }

  /** Takes a list of the source. */
  update(update: HostListUpdate): HostListUpdate {
    const present = new Set(endpointsOf(update).map(({ endpoint }) => identityOf(endpoint)));
    for (const { endpoint, group } of this.listed === undefined ? [] : endpointsOf(this.listed))
      if (!present.has(identityOf(endpoint)))
        this.kept.set(identityOf(endpoint), {
          endpoint: { ...endpoint, checked: HealthFlag.pending_dynamic_removal },
          group,
        });
    for (const identity of present) this.kept.delete(identity);
    this.listed = update;
    return this.whole();
  }

  /** The list of the source with those that stay. Those whose checks fail go. */
  whole(): HostListUpdate {
    const update = this.listed as HostListUpdate;
    for (const [identity, { endpoint }] of this.kept) if (!this.mayStay(endpoint)) this.kept.delete(identity);
    if (this.kept.size === 0) return update;
    const localities = [...update.localities];
    for (const { endpoint, group } of this.kept.values()) {
      const at = localities.findIndex((candidate) => samePlace(candidate, group));
      if (at < 0) localities.push({ ...group, endpoints: [endpoint] });
      else localities[at] = { ...localities[at], endpoints: [...localities[at].endpoints, endpoint] };
    }
    return { ...update, localities };
  }
}

function endpointsOf({ localities }: HostListUpdate) {
  return localities.flatMap((group) => group.endpoints.map((endpoint) => ({ endpoint, group })));
}

function samePlace(one: LocalityEndpoints, other: LocalityEndpoints): boolean {
  return one.priority === other.priority && sameLocality(one.locality, other.locality);
}
