import {
  type Cluster,
  Cluster_DiscoveryType,
  ConstraintChecker,
  type ExtensionConfigSource,
  type Message,
  messageType,
  type Rds,
  type ScopedRouteConfiguration,
  type SdsSecretConfig,
  type Visitor,
} from '@dragoman/api';
import { KINDS, type KindName } from './kinds.ts';
import type { XdsResource } from './resource.ts';
import type { ResourceView } from './resource-set.ts';

/** What {@link inconsistencies} finds. */
export interface SnapshotProblem {
  /** `missing`: referred to and not there; `unreferenced`: there, and nothing refers to it. */
  readonly what: 'missing' | 'unreferenced';
  readonly kind: KindName;
  readonly name: string;
  /** For `missing`: the resource that refers to it, as `clusters "web"`. */
  readonly referrer?: string;
  /** One sentence. */
  readonly message: string;
}

interface Reference {
  readonly kind: KindName;
  readonly name: string;
}

/** Kinds that clients ask for because something refers to them. */
const REFERRED = [
  'endpoints',
  'routes',
  'secrets',
  'extensionConfigs',
] as const satisfies readonly KindName[];
const REFERRING = ['clusters', 'listeners', 'scopedRoutes'] as const satisfies readonly KindName[];

/** Resources are shared by snapshots: each is gone through once. */
const known = new WeakMap<XdsResource, readonly Reference[]>();

/**
 * Whether everything that resources of a snapshot refer to is in it: load assignments of EDS clusters, route
 * configurations of connection managers and scopes, secrets and extension configs that come by xDS; and whether all of those that are there are referred to.
 */
export function inconsistencies(snapshot: {
  view(kind: KindName): ResourceView | undefined;
}): SnapshotProblem[] {
  const problems: SnapshotProblem[] = [];
  const wanted = new Map<KindName, Set<string>>(REFERRED.map((kind) => [kind, new Set()]));
  for (const referring of REFERRING) {
    for (const one of snapshot.view(referring)?.all() ?? []) {
      for (const { kind, name } of referencesOf(one)) {
        const names = wanted.get(kind);
        names?.add(name);
        if (snapshot.view(kind)?.get(name) !== undefined) continue;
        const referrer = `${referring} "${one.name}"`;
        const message = `${referrer} refers to "${name}" of ${kind}, which the snapshot does not have`;
        problems.push({ what: 'missing', kind, name, referrer, message });
      }
    }
  }
  for (const kind of REFERRED) {
    for (const { name } of snapshot.view(kind)?.all() ?? []) {
      if (wanted.get(kind)?.has(name) === true) continue;
      problems.push({ what: 'unreferenced', kind, name, message: `nothing refers to "${name}" of ${kind}` });
    }
  }
  return problems;
}

function referencesOf(one: XdsResource): readonly Reference[] {
  let found = known.get(one);
  if (found === undefined) known.set(one, (found = findReferences(one.message)));
  return found;
}

function findReferences(message: Message | undefined): readonly Reference[] {
  const found = new Map<string, Reference>();
  const add = (kind: KindName, name: string): void => {
    if (name !== '') found.set(`${kind} ${name}`, { kind, name });
  };
  const desc = message === undefined ? undefined : messageType(message.$typeName);
  if (message === undefined || desc === undefined) return [];
  // The walk of the constraint checker goes into every Any; what it says of constraints is not asked for here.
  new ConstraintChecker({ visitors: visitorsFor(add) }).message(message, desc);
  return [...found.values()];
}

function visitorsFor(add: (kind: KindName, name: string) => void): Map<string, readonly Visitor[]> {
  const cluster = (message: Cluster): void => {
    const { clusterDiscoveryType: type, edsClusterConfig: eds } = message;
    const isEds = type.case === 'type' && type.value === Cluster_DiscoveryType.EDS;
    if (isEds && byXds(eds?.edsConfig)) add('endpoints', eds?.serviceName || message.name);
  };
  const rds = (message: Rds): void => {
    if (byXds(message.configSource)) add('routes', message.routeConfigName);
  };
  const scope = (message: ScopedRouteConfiguration): void => {
    if (message.routeConfiguration === undefined) add('routes', message.routeConfigurationName);
  };
  const secret = (message: SdsSecretConfig): void => {
    if (byXds(message.sdsConfig)) add('secrets', message.name);
  };
  const filter = (message: { name: string; configType: { case?: string; value?: unknown } }): void => {
    const { configType } = message;
    if (configType.case !== 'configDiscovery') return;
    if (byXds((configType.value as ExtensionConfigSource).configSource))
      add('extensionConfigs', message.name);
  };
  return new Map<string, readonly Visitor[]>([
    [KINDS.clusters.schema.typeName, [cluster as Visitor]],
    [KINDS.scopedRoutes.schema.typeName, [scope as Visitor]],
    [`${HCM}.Rds`, [rds as Visitor]],
    [`${HCM}.HttpFilter`, [filter as Visitor]],
    ['envoy.config.listener.v3.Filter', [filter as Visitor]],
    ['envoy.config.listener.v3.ListenerFilter', [filter as Visitor]],
    ['envoy.extensions.transport_sockets.tls.v3.SdsSecretConfig', [secret as Visitor]],
  ]);
}

const HCM = 'envoy.extensions.filters.network.http_connection_manager.v3';

/** From a management server, and not from a file. */
function byXds(source: Rds['configSource']): boolean {
  const specifier = source?.configSourceSpecifier.case;
  return specifier === 'ads' || specifier === 'self' || specifier === 'apiConfigSource';
}
