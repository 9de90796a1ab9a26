import {
  ClusterDiscoveryService,
  ClusterLoadAssignmentSchema,
  ClusterSchema,
  type DescMessage,
  type DescService,
  EndpointDiscoveryService,
  ExtensionConfigDiscoveryService,
  ListenerDiscoveryService,
  ListenerSchema,
  RouteConfigurationSchema,
  RouteDiscoveryService,
  RuntimeDiscoveryService,
  ScopedRouteConfigurationSchema,
  ScopedRoutesDiscoveryService,
  SecretDiscoveryService,
  SecretSchema,
  ServiceRuntimeSchema,
  TypedExtensionConfigSchema,
  typeUrl,
  VirtualHostDiscoveryService,
  VirtualHostSchema,
} from '@dragoman/api';

/** One of the types of resources that xDS has a service for. */
export interface ResourceKind {
  readonly schema: DescMessage;
  readonly typeUrl: string;
  /** The service for this type alone. */
  readonly service: DescService;
  /** Where REST clients post their requests; undefined for virtual hosts, which have the delta protocol only. */
  readonly restPath: string | undefined;
  /** An answer of the state-of-the-world protocol holds all there is, and what it does not hold is deleted. */
  readonly whole: boolean;
}

function kind(schema: DescMessage, service: DescService, restName?: string, whole = false): ResourceKind {
  const restPath = restName === undefined ? undefined : `/v3/discovery:${restName}`;
  return { schema, typeUrl: typeUrl(schema), service, restPath, whole };
}

/**
 * The types by the names that snapshots have for them. Their order is that of answers on an aggregated stream: what is
 * referred to is made before what refers to it (clusters, endpoints, listeners, routes).
 */
export const KINDS = {
  clusters: kind(ClusterSchema, ClusterDiscoveryService, 'clusters', true),
  endpoints: kind(ClusterLoadAssignmentSchema, EndpointDiscoveryService, 'endpoints'),
  secrets: kind(SecretSchema, SecretDiscoveryService, 'secrets'),
  listeners: kind(ListenerSchema, ListenerDiscoveryService, 'listeners', true),
  scopedRoutes: kind(ScopedRouteConfigurationSchema, ScopedRoutesDiscoveryService, 'scoped-routes', true),
  routes: kind(RouteConfigurationSchema, RouteDiscoveryService, 'routes'),
  virtualHosts: kind(VirtualHostSchema, VirtualHostDiscoveryService),
  extensionConfigs: kind(TypedExtensionConfigSchema, ExtensionConfigDiscoveryService, 'extension_configs'),
  runtimes: kind(ServiceRuntimeSchema, RuntimeDiscoveryService, 'runtime'),
} as const satisfies Record<string, ResourceKind>;

/** What snapshots call the types. */
export type KindName = keyof typeof KINDS;

const LIST: readonly ResourceKind[] = Object.values(KINDS);
const BY_TYPE = new Map(LIST.map((one, place) => [one.typeUrl, { ...one, place }]));

/** Names of types, as in {@link KINDS}. */
export const KIND_NAMES = Object.keys(KINDS) as readonly KindName[];

/** The kind of a type URL; undefined for a type that xDS has no service for. */
export function kindOf(url: string): ResourceKind | undefined {
  return BY_TYPE.get(url);
}

/** Where a type stands in the order of answers; types that are not in {@link KINDS} come last. */
export function placeOf(url: string): number {
  return BY_TYPE.get(url)?.place ?? LIST.length;
}

/** A type URL, or that of a schema or of a name of {@link KINDS}. */
export function typeUrlOf(type: string | DescMessage): string {
  if (typeof type !== 'string') return typeUrl(type);
  return Object.hasOwn(KINDS, type) ? KINDS[type as KindName].typeUrl : type;
}
