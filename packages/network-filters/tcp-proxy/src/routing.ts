import type { RandomSource, StreamInfo } from '@dragoman/core';
import { LOAD_BALANCER_METADATA, type MetadataMatch, type Options, type Route } from './config.ts';

/** Filter state under which an earlier filter names the cluster of its connection. */
export const CLUSTER_FILTER_STATE = 'envoy.tcp_proxy.cluster';

/** The route of one connection attempt: chosen by an earlier filter, else as configured, by weight where there are several. */
export function pickRoute(options: Options, info: StreamInfo, random: RandomSource): Route {
  if (info.hasFilterState) {
    const cluster = info.filterState.get(CLUSTER_FILTER_STATE)?.toText?.();
    if (cluster !== undefined) return { cluster, metadataMatch: options.route?.metadataMatch };
  }
  const { route, weighted } = options;
  if (route !== undefined || weighted === undefined) return route as Route;
  const draw = random.next() % weighted.total;
  const index = weighted.upTo.findIndex((limit) => draw < limit);
  return weighted.routes[index] as Route;
}

/** The route's criteria with what earlier filters have put into dynamic metadata laid over them. */
export function metadataMatchOf(route: Route, info: StreamInfo): MetadataMatch | undefined {
  if (!info.hasDynamicMetadata) return route.metadataMatch;
  const dynamic = info.dynamicMetadata.get(LOAD_BALANCER_METADATA);
  return dynamic === undefined ? route.metadataMatch : { ...route.metadataMatch, ...dynamic };
}
