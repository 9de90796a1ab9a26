import { type HeaderMatcher, type RouteConfiguration, toConfigJson } from '@dragoman/api';
import type { FactoryContext, HeaderMap } from '@dragoman/core';
import { type CompiledRouteTable, compileRouteTable } from '@dragoman/http';
import { compileHeaderMatcher } from '@dragoman/matching';
import { CheckRuntime } from './check-runtime.ts';
import { Coverage, type CoveredField } from './coverage.ts';
import { evaluate, type RouteOutcome, type RouteRequest } from './outcome.ts';
import type { Expectations, RouteTest } from './route-tests.ts';

/** What has become of a test. */
export interface RouteTestResult {
  readonly name: string;
  /** In the words of Envoy's tool; none when the test has passed. */
  readonly failures: readonly string[];
}

/** A route configuration that requests are put to, without traffic. `typed_per_filter_config` is not looked into: filters do not run. */
export class RouteChecker {
  readonly coverage = new Coverage();
  private readonly table: CompiledRouteTable;
  private readonly runtime: CheckRuntime;

  /**
   * @param path where the configuration stands, put before the paths of errors
   * @throws ConfigError with every problem of the configuration
   */
  constructor(config: RouteConfiguration, context: FactoryContext, path = '') {
    this.runtime = new CheckRuntime(context.runtime);
    const places = new Map(
      config.virtualHosts.flatMap(({ routes }, host) =>
        routes.map((route, i) => [route, `virtual_hosts[${host}].routes[${i}]`] as const),
      ),
    );
    this.table = compileRouteTable(config, {
      context: { ...context, runtime: this.runtime },
      perFilterConfig: () => undefined,
      onRoute: (route, of) => this.coverage.add(route, of, places.get(of) ?? ''),
      path,
    });
  }

  /** What the table makes of a request. */
  resolve(request: RouteRequest): RouteOutcome {
    this.runtime.enabledKey = request.runtime ?? '';
    return evaluate(this.table, request);
  }

  /** Puts a test's request to the table, compares, and counts what was right as covered. */
  check({ name, request, expected }: RouteTest): RouteTestResult {
    const outcome = this.resolve(request);
    const comparison = new Comparison(outcome, this.coverage);
    comparison.all(expected);
    return { name, failures: comparison.failures };
  }
}

/** One outcome against what was expected of it. */
class Comparison {
  readonly failures: string[] = [];
  private readonly outcome: RouteOutcome;
  private readonly coverage: Coverage;

  constructor(outcome: RouteOutcome, coverage: Coverage) {
    this.outcome = outcome;
    this.coverage = coverage;
  }

  all(expected: Expectations): void {
    const { outcome } = this;
    const forwards = outcome.route?.action.kind === 'forward';
    this.field('cluster_name', expected.clusterName, outcome.cluster, forwards);
    this.field('virtual_cluster_name', expected.virtualClusterName, outcome.virtualCluster, forwards);
    this.field('virtual_host_name', expected.virtualHostName, outcome.virtualHost, forwards);
    this.field('path_rewrite', expected.pathRewrite, outcome.path, forwards);
    this.field('host_rewrite', expected.hostRewrite, outcome.authority, forwards);
    this.field('path_redirect', expected.pathRedirect, outcome.location, !forwards);
    this.field('code_redirect', expected.codeRedirect, outcome.status, !forwards);
    if (expected.timeoutMs !== undefined && expected.timeoutMs !== outcome.timeoutMs) {
      const actual = outcome.timeoutMs === undefined ? '' : seconds(outcome.timeoutMs);
      this.fail(seconds(expected.timeoutMs), actual, 'timeout');
    }
    this.matches('request_header_matches', expected.requestHeaderMatches, outcome.requestHeaders);
    this.values('request_header_fields', expected.requestHeaderFields, outcome.requestHeaders);
    this.matches('response_header_matches', expected.responseHeaderMatches, outcome.responseHeaders);
    this.values('response_header_fields', expected.responseHeaderFields, outcome.responseHeaders);
  }

  private field<T extends string | number>(
    name: CoveredField,
    expected: T | undefined,
    actual: T,
    covers: boolean,
  ): void {
    if (expected === undefined) return;
    if (expected !== actual) this.fail(expected, actual, name);
    else if (covers) this.coverage.mark(this.outcome.route, name);
  }

  private values(type: string, fields: Expectations['requestHeaderFields'], headers: HeaderMap): void {
    for (const [name, expected] of fields) {
      const actual = headers.getJoined(name) ?? '';
      if (actual !== expected) this.fail(expected, actual, type);
    }
  }

  private matches(kind: string, matchers: readonly HeaderMatcher[], headers: HeaderMap): void {
    for (const matcher of matchers) {
      if (compileHeaderMatcher(matcher)(headers)) continue;
      const { name, headerMatchSpecifier, invertMatch } = matcher;
      const type = `${kind}.${JSON.stringify(toConfigJson(matcher))}`;
      const actual = `${name}: ${headers.getJoined(name.toLowerCase()) ?? ''}`;
      if (headerMatchSpecifier.case === undefined || headerMatchSpecifier.case === 'presentMatch')
        this.fail(`has(${name}):${!invertMatch}`, `has(${name}):${invertMatch}`, type);
      else if (
        headerMatchSpecifier.case === 'stringMatch' &&
        headerMatchSpecifier.value.matchPattern.case === 'exact'
      )
        this.fail(`${name}: ${headerMatchSpecifier.value.matchPattern.value}`, actual, type, invertMatch);
      else this.failures.push(`actual: [${actual}], test type: ${type}`);
    }
  }

  private fail(expected: string | number, actual: string | number, type: string, not = false): void {
    this.failures.push(
      `expected: [${expected}], actual: ${not ? 'NOT ' : ''}[${actual}], test type: ${type}`,
    );
  }
}

const seconds = (ms: number) => `${ms / 1000}s`;
