import { isIP } from 'node:net';
import { ConsulCluster_WarningHealth as WarningHealth } from '@dragoman/api';
import {
  asArray,
  asObject,
  asString,
  type JsonObjectView,
  type LocatedEndpoint,
  printable,
} from '@dragoman/api-discovery';
import { Address, type EndpointData } from '@dragoman/core';
import type { InstanceOptions } from './config.ts';

/** The hosts of an answer, and what of it is none. */
export interface Instances {
  readonly hosts: readonly LocatedEndpoint[];
  readonly omitted: number;
  /** Why the first one that was left out is no host. */
  readonly reason: string;
}

type Health = NonNullable<EndpointData['health']>;

/** The namespace of the hosts' metadata. */
const METADATA = 'dragoman.clusters.consul';
/** Consul's checks of a node or service that somebody has taken out of use. */
const MAINTENANCE = /^_(node|service)_maintenance(:|$)/;
const MAX_WEIGHT = 2 ** 32 - 1;

/**
 * Hosts of an answer of `/v1/health/service`, in the order of the answer.
 * @throws Error that says why it is none, or that it has more than `max` instances
 */
export function readInstances(value: unknown, options: InstanceOptions, max: number): Instances {
  if (!Array.isArray(value)) throw new Error('is no list of instances');
  if (value.length > max) throw new Error(`holds more than ${max} instances (max_instances)`);
  const hosts: LocatedEndpoint[] = [];
  let omitted = 0;
  let reason = '';
  for (const one of value) {
    const host = readInstance(asObject(one), options);
    if (typeof host !== 'string') hosts.push(host);
    else if (omitted++ === 0) reason = host;
  }
  return { hosts, omitted, reason };
}

/** The host, or why it is none. */
function readInstance(instance: JsonObjectView, options: InstanceOptions): LocatedEndpoint | string {
  const node = asObject(instance.Node);
  const service = asObject(instance.Service);
  const { ip, port } = addressOf(node, service, options.taggedAddress);
  const id = asString(service.ID);
  if (isIP(ip) === 0 || ip.includes('%'))
    return `instance ${printable(id)} has the address "${printable(ip)}", which is no IP`;
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return `instance ${printable(id)} has no port`;
  const { health, weight } = stateOf(instance, asObject(service.Weights), options.warningHealth);
  const meta = asObject(node.Meta);
  const nodeName = asString(node.Node);
  return {
    locality: {
      region: asString(member(meta, options.regionKey)),
      zone: asString(member(meta, options.zoneKey)),
      subZone: '',
    },
    endpoint: {
      address: Address.ip(ip, port).text,
      hostname: '',
      weight,
      metadata: { [METADATA]: { id, node: nodeName, datacenter: asString(node.Datacenter) } },
      ...(health === 'healthy' ? {} : { health }),
    },
  };
}

/** The service's tagged address, else the node's with the service's port, else the service's, else the node's. */
function addressOf(node: JsonObjectView, service: JsonObjectView, tag: string): { ip: string; port: number } {
  const port = service.Port as number;
  const plain = { ip: asString(service.Address) || asString(node.Address), port };
  if (tag === '') return plain;
  const own = asObject(member(asObject(service.TaggedAddresses), tag));
  const ip = asString(own.Address) || asString(own.address);
  if (ip !== '') return { ip, port: ((own.Port ?? own.port) as number) || port };
  const ofNode = asString(member(asObject(node.TaggedAddresses), tag));
  return ofNode === '' ? plain : { ip: ofNode, port };
}

/** The worst check decides; what is no known status counts as critical. */
function stateOf(
  instance: JsonObjectView,
  weights: JsonObjectView,
  warningHealth: WarningHealth,
): { health: Health; weight: number } {
  let warning = false;
  let critical = false;
  for (const one of asArray(instance.Checks)) {
    const check = asObject(one);
    if (check.Status === 'passing') continue;
    if (MAINTENANCE.test(asString(check.CheckID))) return { health: 'draining', weight: 1 };
    if (check.Status === 'warning') warning = true;
    else critical = true;
  }
  if (critical) return { health: 'unhealthy', weight: weightOf(weights.Passing) || 1 };
  if (!warning) return { health: 'healthy', weight: weightOf(weights.Passing) || 1 };
  const weight = weightOf(weights.Warning);
  // Consul's weight of 0: no requests while there is a warning.
  if (weight === 0 || warningHealth === WarningHealth.UNHEALTHY)
    return { health: 'unhealthy', weight: weight || 1 };
  return { health: warningHealth === WarningHealth.DEGRADED ? 'degraded' : 'healthy', weight };
}

/** Consul's default is 1. */
function weightOf(value: unknown): number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_WEIGHT
    ? value
    : 1;
}

function member(object: JsonObjectView, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}
