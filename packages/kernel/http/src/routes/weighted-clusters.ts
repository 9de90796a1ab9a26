import type { WeightedCluster } from '@dragoman/api';
import {
  ConfigError,
  type HashPolicy,
  type RequestHeaders,
  type Runtime,
  type StreamInfo,
} from '@dragoman/core';
import { hashModulo } from '@dragoman/hashing';
import type { CompiledRoute, RouteChoice } from './compiled-route.ts';

const MAX_TOTAL_WEIGHT = 2 ** 32 - 1;

/** Draws one of a route's weighted clusters. */
export class WeightedRoutes implements RouteChoice {
  private readonly routes: readonly CompiledRoute[];
  private readonly weights: readonly number[];
  private readonly total: number;
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
    this.weights = config.clusters.map((cluster, i) => {
      if (cluster.weight === undefined) throw ConfigError.at(`clusters[${i}].weight`, 'is required');
      return cluster.weight;
    });
    this.total = this.weights.reduce((sum, weight) => sum + weight, 0);
    if (this.total === 0) throw ConfigError.at('clusters', 'the sum of the weights must be greater than 0');
    if (this.total > MAX_TOTAL_WEIGHT)
      throw ConfigError.at('clusters', `the sum of the weights must not exceed ${MAX_TOTAL_WEIGHT}`);
    if (config.totalWeight !== undefined && config.totalWeight !== this.total)
      throw ConfigError.at(
        'total_weight',
        `is ${config.totalWeight}, but the weights add up to ${this.total}`,
      );
    this.keys =
      config.runtimeKeyPrefix === ''
        ? []
        : config.clusters.map((cluster) => `${config.runtimeKeyPrefix}.${cluster.name}`);
    const specifier = config.randomValueSpecifier;
    this.header = specifier.case === 'headerName' ? specifier.value.toLowerCase() : '';
    this.hash = specifier.case === 'useHashPolicy' && specifier.value.value ? hash : undefined;
    this.runtime = runtime;
  }

  /** @param random 0 ≤ random < 2⁵³ */
  pick(headers: RequestHeaders, info: StreamInfo, random: number): CompiledRoute {
    let { weights, total } = this;
    if (this.keys.length > 0) {
      const current = this.runtimeWeights();
      const sum = current.reduce((all, weight) => all + weight, 0);
      // An operator who turned all of them off has made a mistake: the config holds.
      if (sum > 0) {
        weights = current;
        total = sum;
      }
    }
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

  private runtimeWeights(): number[] {
    return this.keys.map((key, i) => Math.max(0, this.runtime.getInteger(key, this.weights[i] as number)));
  }
}

const MAX_UINT64 = 2n ** 64n - 1n;

/** The remainder of the number in a header that stands there once; undefined: the usual draw holds. */
function pointFromHeader(headers: RequestHeaders, name: string, total: number): number | undefined {
  const values = headers.getAll(name);
  const text = values.length === 1 ? (values[0] as string).trim() : '';
  if (!/^\d{1,20}$/.test(text)) return undefined;
  const number = BigInt(text);
  return number > MAX_UINT64 ? undefined : Number(number % BigInt(total));
}
