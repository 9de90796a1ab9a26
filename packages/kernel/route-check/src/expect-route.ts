import { type JsonObject, type RouteConfiguration, RouteConfigurationSchema, readLoose } from '@dragoman/api';
import { type Extension, emptyRuntime } from '@dragoman/core';
import { parse } from 'yaml';
import { offlineContext } from './offline-context.ts';
import type { RouteOutcome, RouteRequest } from './outcome.ts';
import { RouteChecker } from './route-checker.ts';

/** What a test says of a request's route. Every `to…` throws an Error that says what is so instead, and returns this. */
export class RouteExpectation {
  /** All there is to know. */
  readonly outcome: RouteOutcome;
  private readonly what: string;

  constructor(outcome: RouteOutcome, request: RouteRequest) {
    this.outcome = outcome;
    this.what = `${request.method ?? 'GET'} ${request.ssl ? 'https' : 'http'}://${request.authority}${request.path}`;
  }

  /** The request goes to this cluster. */
  toGoTo(cluster: string): this {
    return this.expect(this.outcome.cluster === cluster, `to go to "${cluster}"`);
  }

  /** The request goes upstream with this path or authority. */
  toBeRewrittenTo(rewritten: { readonly path?: string; readonly authority?: string }): this {
    const { path = this.outcome.path, authority = this.outcome.authority } = rewritten;
    const forwards = this.outcome.route?.action.kind === 'forward';
    const actual = forwards ? `; it goes upstream as ${this.outcome.authority} ${this.outcome.path}` : '';
    return this.expect(
      forwards && path === this.outcome.path && authority === this.outcome.authority,
      `to go upstream as ${authority} ${path}`,
      actual,
    );
  }

  /** The answer is a redirect to this URI. @param status default: any */
  toRedirectTo(location: string, status = this.outcome.status): this {
    const { outcome } = this;
    return this.expect(
      outcome.route?.action.kind === 'redirect' && outcome.location === location && outcome.status === status,
      `to be redirected to ${location}${status === outcome.status ? '' : ` with ${status}`}`,
    );
  }

  /** The answer is a `direct_response` of this status. */
  toBeAnsweredWith(status: number): this {
    const { outcome } = this;
    return this.expect(
      outcome.route?.action.kind === 'direct-response' && outcome.status === status,
      `to be answered with ${status}`,
    );
  }

  /** No route matches: a client gets 404. */
  toMatchNothing(): this {
    return this.expect(this.outcome.route === undefined, 'to match no route');
  }

  private expect(holds: boolean, wanted: string, more = ''): this {
    if (!holds) throw new Error(`${this.what}: expected ${wanted}, but it ${describe(this.outcome)}${more}`);
    return this;
  }
}

function describe(outcome: RouteOutcome): string {
  const { route, cluster, location, status } = outcome;
  if (route === undefined) return 'matches no route';
  const name = route.routeName === '' ? '' : `, route "${route.routeName}"`;
  const by = ` (virtual host "${route.virtualHostName}"${name})`;
  switch (route.action.kind) {
    case 'forward':
      return `goes to "${cluster}"${by}`;
    case 'redirect':
      return `is redirected to ${location} with ${status}${by}`;
    case 'direct-response':
      return `is answered with ${status}${by}`;
  }
}

/**
 * The route of a request, for tests: `expectRoute(config, { authority: 'a.com', path: '/x' }).toGoTo('cluster')`.
 * @param config a `RouteConfiguration` as YAML, as an object, or as a message; compiled at each call
 * @param extensions those that the configuration names: matchers, retry predicates and so on; default: none
 * @throws ConfigError with every problem of the configuration
 */
export function expectRoute(
  config: string | JsonObject | RouteConfiguration,
  request: RouteRequest,
  extensions: readonly Extension[] = [],
): RouteExpectation {
  const checker = new RouteChecker(messageOf(config), offlineContext(extensions, emptyRuntime));
  return new RouteExpectation(checker.resolve(request), request);
}

function messageOf(config: string | JsonObject | RouteConfiguration): RouteConfiguration {
  if (typeof config === 'object' && '$typeName' in config) return config as RouteConfiguration;
  return readLoose(RouteConfigurationSchema, typeof config === 'string' ? parse(config) : config);
}
