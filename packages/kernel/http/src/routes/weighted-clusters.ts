import type { WeightedCluster } from '@dragoman/api';
import {
  ConfigError,
  type HashPolicy,
  type RequestHeaders,
  type Route,
  type Runtime,
  type StreamInfo,
} from '@dragoman/core';
import { hashModulo } from '@dragoman/hashing';
import type { CompiledRoute, RouteChoice } from './compiled-route.ts';

const MAX_TOTAL_WEIGHT = 2 ** 32 - 1;

/** Draws one of a route's weighted clusters. */
export class WeightedRoutes implements RouteChoice {
  private readonly routes: readonly CompiledRoute[];
  /** Of the config. */
  private readonly configured: readonly number[];
  /** Those that hold: with {@link keys}, since the last {@link weigh}. */
  private readonly weights: number[];
  private total: number;
  /** Runtime keys that override the weights; empty: none. */
  private readonly keys: readonly string[];
  private readonly header: string;
  /** `use_hash_policy`: the route's; undefined: the usual draw. */
  private readonly hash: HashPolicy | undefined;
  private readonly runtime: Runtime;

  /**
   * @param routes one for each cluster
   * @param hash `hash_policy` of the route
   * @throws ConfigError with a path below `weighted_clusters`
   */
  constructor(
    config: WeightedCluster,
    routes: readonly CompiledRoute[],
    hash: HashPolicy | undefined,
    runtime: Runtime,
  ) {
    this.routes = routes;
    this.configured = config.clusters.map((cluster, i) => {
      if (cluster.weight === undefined) throw ConfigError.at(`clusters[${i}].weight`, 'is required');
      return cluster.weight;
    });
    this.weights = [...this.configured];
    this.keys =
      config.runtimeKeyPrefix === ''
        ? []
        : config.clusters.map((cluster) => `${config.runtimeKeyPrefix}.${cluster.name}`);
    const specifier = config.randomValueSpecifier;
    this.header = specifier.case === 'headerName' ? specifier.value.toLowerCase() : '';
    this.hash = specifier.case === 'useHashPolicy' && specifier.value.value ? hash : undefined;
    this.runtime = runtime;
    this.total = sum(this.weights);
    this.weigh();
    if (this.total === 0) throw ConfigError.at('clusters', 'the sum of the weights must be greater than 0');
    if (this.total > MAX_TOTAL_WEIGHT)
      throw ConfigError.at('clusters', `the sum of the weights must not exceed ${MAX_TOTAL_WEIGHT}`);
  }

  /** Whether the runtime has a say: {@link weigh} is then to be called before {@link pick}. */
  get byRuntime(): boolean {
    return this.keys.length > 0;
  }

  /**
   * Takes the runtime's weights, where it has any. False when they add up to nothing, or to more than 32 bits hold: the route then does
   * not take the request, as in Envoy. What is found holds for the lookup that asked, which runs to its end before the next.
   */
  weigh(): boolean {
    const { keys, weights } = this;
    if (keys.length === 0) return true;
    for (let i = 0; i < keys.length; i++) {
      const configured = this.configured[i] as number;
      const weight = this.runtime.getInteger(keys[i] as string, configured);
      // What is no weight does not count.
      weights[i] = weight < 0 ? configured : weight;
    }
    this.total = sum(weights);
    return this.total > 0 && this.total <= MAX_TOTAL_WEIGHT;
  }

  /** Which cluster a route of this choice is to; −1 for another's. */
  indexOf(route: Route): number {
    return this.routes.indexOf(route as CompiledRoute);
  }

  /** How the last {@link weigh} shares requests out, in the order of the clusters: for tools. */
  get shares(): readonly number[] {
    return this.weights.map((weight) => weight / this.total);
  }

  /** @param random 0 ≤ random < 2⁵³ */
  pick(headers: RequestHeaders, info: StreamInfo, random: number): CompiledRoute {
    const { weights, total } = this;
    const point = this.point(headers, info, total) ?? random % total;
    let end = 0;
    for (let i = 0; i < weights.length; i++) {
      end += weights[i] as number;
      if (point < end) return this.routes[i] as CompiledRoute;
    }
    return this.routes[this.routes.length - 1] as CompiledRoute;
  }

  /** Where the request itself says; undefined: the usual draw holds. */
  private point(headers: RequestHeaders, info: StreamInfo, total: number): number | undefined {
    if (this.header !== '') return pointFromHeader(headers, this.header, total);
    // No cookie is made for a draw: the router makes it when it picks a host.
    const hash = this.hash?.hash(headers, info, undefined);
    return hash === undefined ? undefined : hashModulo(hash, total);
  }
}

function sum(weights: readonly number[]): number {
  let total = 0;
  for (const weight of weights) total += weight;
  return total;
}

const MAX_UINT64 = 2n ** 64n - 1n;

/** The remainder of the number in a header that stands there once; undefined: the usual draw holds. */
function pointFromHeader(headers: RequestHeaders, name: string, total: number): number | undefined {
  const values = headers.getAll(name);
  const text = values.length === 1 ? (values[0] as string).trim() : '';
  const digits = /^\+?0*(\d{1,20})$/.exec(text)?.[1];
  if (digits === undefined) return undefined;
  const number = BigInt(digits);
  return number > MAX_UINT64 ? undefined : Number(number % BigInt(total));
}
