import type { ConfigProblem } from '@dragoman/core';
import type { ConstraintChecker, Visitor } from './constraints.ts';
import type {
  Bootstrap,
  HttpConnectionManager,
  RegexMatcher,
  Route,
  RouteAction,
  RouteConfiguration,
  ScopedRoutes,
} from './gen/index.ts';
import { nearest } from './nearest.ts';

/** What can be told from a Bootstrap alone: names that occur twice. */
export function checkBootstrap(bootstrap: Bootstrap): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const resources = bootstrap.staticResources;
  duplicates('cluster', 'clusters', resources?.clusters ?? [], problems);
  duplicates('listener', 'listeners', resources?.listeners ?? [], problems);
  return problems;
}

function duplicates(
  what: string,
  field: string,
  list: readonly { name: string }[],
  problems: ConfigProblem[],
): void {
  const first = new Map<string, number>();
  list.forEach(({ name }, index) => {
    if (name === '') return; // listeners may go without; clusters are told by their constraint
    const earlier = first.get(name);
    if (earlier === undefined) first.set(name, index);
    else {
      problems.push({
        path: `static_resources.${field}[${index}].name`,
        message: `a ${what} named ${JSON.stringify(name)} is already defined at static_resources.${field}[${earlier}]`,
      });
    }
  });
}

/**
 * Checks that hang on message types, to run while the constraints are checked (which goes through every Any): regular
 * expressions, and routes of an inline `route_config`, or of inline scopes, to clusters that the bootstrap does not have.
 */
export function bootstrapVisitors(
  bootstrap: Bootstrap | undefined,
  checkRegex: (pattern: string) => void,
): Map<string, Visitor[]> {
  const visitors = new Map<string, Visitor[]>();
  const regex = (matcher: RegexMatcher, checker: ConstraintChecker): void => {
    try {
      checkRegex(matcher.regex);
    } catch (error) {
      checker.report(`not a valid regular expression: ${(error as Error).message}`, 'regex');
    }
  };
  visitors.set('envoy.type.matcher.v3.RegexMatcher', [regex as Visitor]);
  visitors.set('xds.type.matcher.v3.RegexMatcher', [regex as Visitor]);
  if (bootstrap !== undefined) {
    const clusters = new Set(bootstrap.staticResources?.clusters.map((cluster) => cluster.name));
    const manager = (hcm: HttpConnectionManager, checker: ConstraintChecker): void => {
      const specifier = hcm.routeSpecifier;
      if (specifier.case === 'routeConfig') routes(specifier.value, 'route_config', clusters, checker);
      if (specifier.case === 'scopedRoutes') scopes(specifier.value, clusters, checker);
    };
    visitors.set('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', [
      manager as Visitor,
    ]);
  }
  return visitors;
}

/** Looks at the name of a cluster; empty where there is none. */
type CheckCluster = (name: string, path: string) => void;
function scopes(
  { configSpecifier }: ScopedRoutes,
  clusters: ReadonlySet<string>,
  checker: ConstraintChecker,
): void {
  if (configSpecifier.case !== 'scopedRouteConfigurationsList') return;
  const list = 'scoped_routes.scoped_route_configurations_list.scoped_route_configurations';
  configSpecifier.value.scopedRouteConfigurations.forEach(({ routeConfiguration }, i) => {
    if (routeConfiguration !== undefined)
      routes(routeConfiguration, `${list}[${i}].route_configuration`, clusters, checker);
  });
}

/** `validate_clusters` is true by default for routes that stand in the config itself. */
function routes(
  config: RouteConfiguration,
  path: string,
  clusters: ReadonlySet<string>,
  checker: ConstraintChecker,
): void {
  if (config.validateClusters === false) return;
  visitRouteClusters(config, (name, at) => {
    if (clusters.has(name)) return;
    checker.report(`unknown cluster ${JSON.stringify(name)}`, `${path}.${at}`, nearest(name, clusters));
  });
}

/** Calls `visit` for each cluster that a route configuration names, mirrors too, with its path there. */
export function visitRouteClusters(
  config: RouteConfiguration,
  visit: (name: string, path: string) => void,
): void {
  const check: CheckCluster = (name, path) => {
    if (name !== '') visit(name, path);
  };
  checkMirrors(config, '', check);
  config.virtualHosts.forEach((host, h) => {
    const hostPath = `virtual_hosts[${h}]`;
    checkMirrors(host, `${hostPath}.`, check);
    host.routes.forEach((route, r) => {
      checkRoute(route, `${hostPath}.routes[${r}]`, check);
    });
  });
}

function checkRoute(route: Route, path: string, check: CheckCluster): void {
  if (route.action.case !== 'route') return;
  const action: RouteAction = route.action.value;
  const target = action.clusterSpecifier;
  if (target.case === 'cluster') check(target.value, `${path}.route.cluster`);
  if (target.case === 'weightedClusters') {
    target.value.clusters.forEach((cluster, i) => {
      check(cluster.name, `${path}.route.weighted_clusters.clusters[${i}].name`);
    });
  }
  checkMirrors(action, `${path}.route.`, check);
}

function checkMirrors(
  { requestMirrorPolicies }: Pick<RouteAction, 'requestMirrorPolicies'>,
  path: string,
  check: CheckCluster,
): void {
  requestMirrorPolicies.forEach((policy, i) => {
    check(policy.cluster, `${path}request_mirror_policies[${i}].cluster`);
  });
}
