export { compileRouteTable, type RouteTableOptions } from './compile.ts';
export { DEFAULT_MAX_BODY_BYTES } from './direct-response.ts';
export { DEFAULT_TIMEOUT_MS } from './forward.ts';
export type { PerFilterConfigResolver } from './per-filter.ts';
export type { CompiledRouteTable } from './route-table.ts';
export { compileScopedRoutes } from './scoped-routes.ts';
export { OTHER_VIRTUAL_CLUSTER } from './virtual-clusters.ts';
