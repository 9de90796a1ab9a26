import { type GrpcStatsFilterConfig, GrpcStatsFilterConfigSchema } from '@dragoman/api';
import { refuseUnsupported } from '@dragoman/core';
import { type GrpcCall, grpcCallOf } from '@dragoman/grpc-call-stats';

/** How calls are named in stats. */
export interface CallNaming {
  /** Whether the call is counted, and its name: undefined to count it without service and method. */
  nameOf(path: string): { readonly name: GrpcCall | undefined } | undefined;
  /** Calls that the config names. */
  readonly listed: number;
}

/** What the filter works with. */
export interface Options {
  readonly naming: CallNaming;
  readonly emitFilterState: boolean;
  readonly upstreamStats: boolean;
}

const SUPPORTED: ReadonlySet<string> = new Set([
  'emit_filter_state',
  'individual_method_stats_allowlist',
  'stats_for_all_methods',
  'enable_upstream_stats',
  'replace_dots_in_grpc_service_name',
]);

/** @throws ConfigError with a path below the filter's config */
export function parseConfig(
  config: GrpcStatsFilterConfig,
  warn: (path: string, message: string) => void,
): Options {
  refuseUnsupported(config, GrpcStatsFilterConfigSchema, SUPPORTED);
  return {
    naming: namingOf(config, warn),
    emitFilterState: config.emitFilterState,
    upstreamStats: config.enableUpstreamStats,
  };
}

function namingOf(
  { perMethodStatSpecifier: specifier, replaceDotsInGrpcServiceName: replaceDots }: GrpcStatsFilterConfig,
  warn: (path: string, message: string) => void,
): CallNaming {
  if (specifier.case === 'statsForAllMethods' && specifier.value.value) return allMethods(replaceDots);
  if (replaceDots)
    warn('replace_dots_in_grpc_service_name', 'has no effect without stats_for_all_methods: true');
  const listed = new Map<string, GrpcCall>();
  if (specifier.case === 'individualMethodStatsAllowlist') {
    for (const { name: service, methodNames } of specifier.value.services)
      for (const method of methodNames) listed.set(`${service}/${method}`, { service, method });
  }
  return {
    listed: listed.size,
    nameOf(path) {
      const call = grpcCallOf(path);
      return call === undefined ? undefined : { name: listed.get(`${call.service}/${call.method}`) };
    },
  };
}

function allMethods(replaceDots: boolean): CallNaming {
  return {
    listed: 0,
    nameOf(path) {
      const call = grpcCallOf(path);
      if (call === undefined) return undefined;
      const service = replaceDots ? call.service.replaceAll('.', '_') : call.service;
      return { name: { service, method: call.method } };
    },
  };
}
