export { Coverage } from './coverage.ts';
export { expectRoute, RouteExpectation } from './expect-route.ts';
export { type LoadedRoutes, loadRoutes } from './load-routes.ts';
export type { RouteOutcome, RouteRequest } from './outcome.ts';
export { RouteChecker, type RouteTestResult } from './route-checker.ts';
export { type RouteTest, type RouteTests, readRouteTests } from './route-tests.ts';
export { runExplain } from './run-explain.ts';
export { type CheckSurroundings, runCheckRoutes } from './run-check-routes.ts';
