import { createHash } from 'node:crypto';
import {
  type Cluster,
  Cluster_DiscoveryType,
  type Listener,
  ListenerSchema,
  RouteConfigurationSchema,
  ScopedRouteConfigurationSchema,
  SecretSchema,
  toBinary,
  TypedExtensionConfigSchema,
} from '@dragoman/api';
import type { Found } from './dynamic/references.ts';
import type { Hold } from './dynamic/resource-book.ts';

/** What `/init_dump` looks at. */
export interface WaitingParts {
  /** In place and warming. */
  readonly listeners: readonly {
    readonly message: Listener;
    readonly name: string;
    readonly hold: Hold | undefined;
  }[];
  /** In place and warming. */
  readonly clusters: readonly { readonly message: Cluster; readonly hold: Hold | undefined }[];
  /** Whose hosts are not known. */
  readonly cold: readonly Cluster[];
  /** What the proxy as a whole waits for: `CDS`, `LDS`, `RTDS <name>`. */
  readonly server: readonly string[];
}

/** One who waits, and for what, in Envoy's words. */
export interface UnreadyTargets {
  readonly name: string;
  readonly targetNames: readonly string[];
}

/**
 * Everything that somebody waits for.
 * @param mask `listener` as in Envoy, `cluster` or `server`; undefined: all. Of others there is nothing.
 */
export function unreadyTargets(parts: WaitingParts, mask: string | undefined): readonly UnreadyTargets[] {
  const wanted = (kind: string): boolean => mask === undefined || mask === kind;
  return [
    ...(wanted('server') ? waiting('Server', parts.server.map(target)) : []),
    ...(wanted('cluster') ? waitingClusters(parts) : []),
    ...(wanted('listener')
      ? parts.listeners.flatMap(({ message, name, hold }) =>
          waiting(`Listener-local-init-manager ${name} ${numberOf(message)}`, missing(hold)),
        )
      : []),
  ];
}

function waitingClusters({ clusters, cold }: WaitingParts): readonly UnreadyTargets[] {
  const holds = new Map(clusters.map(({ message, hold }) => [message, hold]));
  const messages = new Set([...cold, ...holds.keys()]);
  return [...messages].flatMap((message) =>
    waiting(`Cluster ${message.name}`, [
      ...(cold.includes(message) ? [target(hostsOf(message))] : []),
      ...missing(holds.get(message)),
    ]),
  );
}

function waiting(manager: string, targetNames: readonly string[]): readonly UnreadyTargets[] {
  return targetNames.length === 0 ? [] : [{ name: `init manager ${manager}`, targetNames }];
}

function missing(hold: Hold | undefined): readonly string[] {
  return [...new Set(hold?.missing.map(nameOf))];
}

const target = (name: string): string => `target ${name}`;
const shared = (name: string): string => `shared target ${name}`;

/** Envoy's name of a subscription. */
function nameOf(found: Found): string {
  const name = found.kind === 'single' ? found.name : found.label;
  switch (found.type.typeName) {
    case RouteConfigurationSchema.typeName:
      return shared(`RdsRouteConfigSubscription RDS init ${name}`);
    case ScopedRouteConfigurationSchema.typeName:
      return shared(`ConfigSubscriptionCommonBase init target '${name}'`);
    case TypedExtensionConfigSchema.typeName:
      return shared(`FilterConfigSubscription init ${name}`);
    case SecretSchema.typeName:
      return shared(`SdsApi ${name}`);
    default:
      return target(`VhdsConfigSubscription ${name}`);
  }
}

/** Where hosts come from. Envoy has no name for it. */
function hostsOf({ name, edsClusterConfig, clusterDiscoveryType }: Cluster): string {
  if (edsClusterConfig !== undefined) return `EDS ${edsClusterConfig.serviceName || name}`;
  if (clusterDiscoveryType.case === 'clusterType') return clusterDiscoveryType.value.name;
  return Cluster_DiscoveryType[clusterDiscoveryType.value ?? Cluster_DiscoveryType.STATIC];
}

/** Tells versions of a listener apart, as Envoy's hash does. */
function numberOf(listener: Listener): string {
  return createHash('sha1').update(toBinary(ListenerSchema, listener)).digest().readBigUInt64BE().toString();
}
