import { type EndpointData, HealthFlag, type HostListUpdate, type LocalityEndpoints } from '@dragoman/core';

/** What main knows of a host beyond what its source says: bits of {@link HealthFlag}. */
export type FlagsOf = (identity: string) => number;

/** Puts what checks came to into host lists. What has not changed stays the same object, so that workers look at what has. */
export class CheckedHosts {
  private readonly flagsOf: FlagsOf;
  private known = new Map<EndpointData, EndpointData>();
  private groups = new Map<LocalityEndpoints, LocalityEndpoints>();

  constructor(flagsOf: FlagsOf) {
    this.flagsOf = flagsOf;
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
    const flags = this.flagsOf(endpoint.id ?? endpoint.address) | ((endpoint.checked ?? 0) & KEPT);
    const before = this.known.get(endpoint);
    if (before !== undefined && (before.checked ?? 0) === flags) return before;
    return flags === (endpoint.checked ?? 0) ? endpoint : { ...endpoint, checked: flags };
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

function identityOf({ id, address }: EndpointData): string {
  return id ?? address;
}

function samePlace(one: LocalityEndpoints, other: LocalityEndpoints): boolean {
  const [a, b] = [one.locality, other.locality];
  return (
    one.priority === other.priority && a.region === b.region && a.zone === b.zone && a.subZone === b.subZone
  );
}
