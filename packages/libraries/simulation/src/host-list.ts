import type { EndpointData, HostListUpdate, LocalityEndpoints } from '@dragoman/core';
import type { SimHost } from './host.ts';

/** Hosts of one locality and priority. */
export interface HostGroup {
  readonly hosts: readonly SimHost[];
  /** Default empty. */
  readonly zone?: string;
  /** Default 0. */
  readonly priority?: number;
  /** Of the locality; 0: not weighted. Default 0. */
  readonly weight?: number;
}

/**
 * What a control plane, health checks and outlier detection would say of hosts: which are there, and which are well. It is told to a proxy by
 * `proxy.updateHosts(cluster, list.update())`. Whatever ejects hosts plugs in here: it sets the flags that it would have set.
 */
export class HostList {
  private groups: readonly HostGroup[];
  private readonly flags = new Map<SimHost, number>();
  private readonly weights = new Map<SimHost, number>();
  private readonly known = new Map<SimHost, EndpointData>();

  constructor(...groups: readonly HostGroup[]) {
    this.groups = groups;
  }

  /** Replaces all hosts. Flags and weights of hosts stay. */
  replace(...groups: readonly HostGroup[]): this {
    this.groups = groups;
    return this;
  }

  /** @param flags bits of `HealthFlag`; 0: it is well */
  setFlags(host: SimHost, flags: number): this {
    this.flags.set(host, flags);
    this.known.delete(host);
    return this;
  }

  /** @param weight 1 or more, whole. Default 1 */
  setWeight(host: SimHost, weight: number): this {
    this.weights.set(host, weight);
    this.known.delete(host);
    return this;
  }

  update(): HostListUpdate {
    return { localities: this.groups.map((group) => this.localityOf(group)) };
  }

  private localityOf({ hosts, zone = '', priority = 0, weight = 0 }: HostGroup): LocalityEndpoints {
    return {
      locality: { region: '', zone, subZone: '' },
      weight,
      priority,
      endpoints: hosts.map((host) => this.endpointOf(host)),
    };
  }

  /** The same object as long as nothing changes: such endpoints cost an update next to nothing. */
  private endpointOf(host: SimHost): EndpointData {
    let endpoint = this.known.get(host);
    if (endpoint === undefined) {
      endpoint = {
        address: host.address,
        hostname: '',
        weight: this.weights.get(host) ?? 1,
        checked: this.flags.get(host) ?? 0,
      };
      this.known.set(host, endpoint);
    }
    return endpoint;
  }
}
