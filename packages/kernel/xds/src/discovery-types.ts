import type { DescMethodStreaming } from '@bufbuild/protobuf';
import {
  ClusterDiscoveryService,
  ClusterLoadAssignmentSchema,
  ClusterSchema,
  type DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponseSchema,
  type DescMessage,
  type DiscoveryRequestSchema,
  type DiscoveryResponseSchema,
  EndpointDiscoveryService,
  ExtensionConfigDiscoveryService,
  LbEndpointSchema,
  ListenerDiscoveryService,
  ListenerSchema,
  LocalityEndpointDiscoveryService,
  RouteConfigurationSchema,
  RouteDiscoveryService,
  RuntimeDiscoveryService,
  ScopedRouteConfigurationSchema,
  ScopedRoutesDiscoveryService,
  SecretDiscoveryService,
  SecretSchema,
  ServiceRuntimeSchema,
  typeUrl,
  TypedExtensionConfigSchema,
  VirtualHostDiscoveryService,
  VirtualHostSchema,
} from '@dragoman/api';

/** All discovery services have the same messages; only names differ. */
export type SotwMethod = DescMethodStreaming<typeof DiscoveryRequestSchema, typeof DiscoveryResponseSchema>;
export type DeltaMethod = DescMethodStreaming<
  typeof DeltaDiscoveryRequestSchema,
  typeof DeltaDiscoveryResponseSchema
>;

/** What the protocol knows of one type of resource. */
export interface DiscoveryType {
  /** For logs: `CDS`. */
  readonly label: string;
  /** Methods of its own service; undefined where there is none. */
  readonly sotw: SotwMethod | undefined;
  readonly delta: DeltaMethod | undefined;
  /** A state-of-the-world response holds all resources that were asked for: what is missing is gone. */
  readonly whole: boolean;
  /** Types whose requests wait while an update of this one is applied, so that what it asks for goes out at once. */
  readonly holds: readonly string[];
  /** How long they wait at most. It gathers what the update asks for; who waits for an answer to that must get it. */
  readonly maxHoldMs: number;
  /** A `Resource` without body but with aliases says that there is nothing by these names. */
  readonly emptyMeansUnresolved: boolean;
}

const row = (
  label: string,
  methods: { readonly sotw?: SotwMethod; readonly delta?: DeltaMethod },
  more: Partial<DiscoveryType> = {},
): DiscoveryType => ({
  label,
  sotw: methods.sotw,
  delta: methods.delta,
  whole: false,
  holds: [],
  maxHoldMs: 100,
  emptyMeansUnresolved: false,
  ...more,
});

const ROUTES = typeUrl(RouteConfigurationSchema);
const ENDPOINTS = typeUrl(ClusterLoadAssignmentSchema);
const LOCALITY_ENDPOINTS = typeUrl(LbEndpointSchema);

const TYPES: ReadonlyMap<string, DiscoveryType> = new Map([
  [
    ListenerSchema.typeName,
    row(
      'LDS',
      {
        sotw: ListenerDiscoveryService.method.streamListeners,
        delta: ListenerDiscoveryService.method.deltaListeners,
      },
      { whole: true, holds: [ROUTES] },
    ),
  ],
  [
    ClusterSchema.typeName,
    row(
      'CDS',
      {
        sotw: ClusterDiscoveryService.method.streamClusters,
        delta: ClusterDiscoveryService.method.deltaClusters,
      },
      { whole: true, holds: [ENDPOINTS, LOCALITY_ENDPOINTS] },
    ),
  ],
  [
    RouteConfigurationSchema.typeName,
    row('RDS', {
      sotw: RouteDiscoveryService.method.streamRoutes,
      delta: RouteDiscoveryService.method.deltaRoutes,
    }),
  ],
  [
    ScopedRouteConfigurationSchema.typeName,
    row(
      'SRDS',
      {
        sotw: ScopedRoutesDiscoveryService.method.streamScopedRoutes,
        delta: ScopedRoutesDiscoveryService.method.deltaScopedRoutes,
      },
      // An update is applied only once the routes are there that it asks for.
      { holds: [ROUTES], maxHoldMs: 0 },
    ),
  ],
  [
    VirtualHostSchema.typeName,
    row(
      'VHDS',
      { delta: VirtualHostDiscoveryService.method.deltaVirtualHosts },
      { emptyMeansUnresolved: true },
    ),
  ],
  [
    ClusterLoadAssignmentSchema.typeName,
    row('EDS', {
      sotw: EndpointDiscoveryService.method.streamEndpoints,
      delta: EndpointDiscoveryService.method.deltaEndpoints,
    }),
  ],
  [
    LbEndpointSchema.typeName,
    row('LEDS', { delta: LocalityEndpointDiscoveryService.method.deltaLocalityEndpoints }),
  ],
  [
    SecretSchema.typeName,
    row('SDS', {
      sotw: SecretDiscoveryService.method.streamSecrets,
      delta: SecretDiscoveryService.method.deltaSecrets,
    }),
  ],
  [
    ServiceRuntimeSchema.typeName,
    row('RTDS', {
      sotw: RuntimeDiscoveryService.method.streamRuntime,
      delta: RuntimeDiscoveryService.method.deltaRuntime,
    }),
  ],
  [
    TypedExtensionConfigSchema.typeName,
    row('ECDS', {
      sotw: ExtensionConfigDiscoveryService.method.streamExtensionConfigs,
      delta: ExtensionConfigDiscoveryService.method.deltaExtensionConfigs,
    }),
  ],
]);

/** A type without a service of its own can only be had on an aggregated stream. */
export function discoveryType(schema: DescMessage): DiscoveryType {
  return TYPES.get(schema.typeName) ?? row(schema.typeName, {});
}
