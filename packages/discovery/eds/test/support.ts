import {
  type ClusterLoadAssignment,
  ClusterLoadAssignmentSchema,
  ClusterSchema,
  LbEndpointSchema,
  readLoose,
} from '@dragoman/api';
import type { Discovery, DiscoveryContext } from '@dragoman/core';
import { DiscoveryScene, type FakeSubscription, lbEndpoint } from '@dragoman/testing';
import { eds } from '../src/index.ts';

export const ADS = { ads: {} };

/** Without the keys that are undefined. */
const plain = (fields: object): object => JSON.parse(JSON.stringify(fields)) as object;

export function assignment(fields: object = {}): ClusterLoadAssignment {
  return readLoose(ClusterLoadAssignmentSchema, plain({ cluster_name: 'web', ...fields }));
}

/** One entry of `endpoints` with such addresses on port 80. */
export function group(addresses: readonly string[], fields: object = {}): object {
  return { lb_endpoints: addresses.map((address) => lbEndpoint(address)), ...fields };
}

export function member(address: string, fields: object = {}): unknown {
  return readLoose(LbEndpointSchema, { ...lbEndpoint(address), ...fields });
}

export const collectionName = (name: string): string =>
  `xdstp://server/envoy.config.endpoint.v3.LbEndpoint/${name}/*`;

/** An entry of `endpoints` whose endpoints are a collection. */
export function collected(name: string, fields: object = {}): object {
  return {
    leds_cluster_locality_config: { leds_config: ADS, leds_collection_name: collectionName(name) },
    ...fields,
  };
}

/** A cluster `web` of type EDS in a test. */
export class EdsScene extends DiscoveryScene {
  readonly discovery: Discovery;

  constructor(cluster: object = {}, context: Partial<DiscoveryContext> = {}) {
    super();
    const fields = { name: 'web', eds_cluster_config: { eds_config: ADS }, ...cluster };
    const message = readLoose(ClusterSchema, plain(fields));
    this.discovery = eds.create(message as never, { ...this.context, ...context });
  }

  begin(): this {
    this.start(this.discovery);
    return this;
  }

  /** The subscription to the assignment. */
  get server(): FakeSubscription {
    return this.subscriptions.all[0];
  }

  /** The subscriptions to collections. */
  get collections(): readonly FakeSubscription[] {
    return this.subscriptions.all.slice(1);
  }

  /** The server sends an assignment for `web`. */
  assign(fields: object): Promise<void> {
    return this.server.resources({ web: assignment(fields) });
  }

  /** Whether the cluster's warming is over. */
  get warm(): boolean {
    return this.updates.length + this.failures.length > 0;
  }

  stat(name: string): number {
    return this.stats.value(`cluster.web.${name}`);
  }
}
