import { availableCores, DEFAULT_LOG_PATTERN } from '@dragoman/server';
import type { Flags } from './flags.ts';

const MODES = { serve: 'Serve', validate: 'Validate', init_only: 'InitOnly' } as const;
/** Envoy's `--drain-time-s`. */
export const DEFAULT_DRAIN_TIME_S = 600;

/**
 * `command_line_options` of `/server_info` (`envoy.admin.v3.CommandLineOptions`) in proto3 JSON.
 * @param baseId as given or chosen
 */
export function commandLineOptions(flags: Flags, baseId: number): Record<string, unknown> {
  const { given } = flags;
  return {
    base_id: String(baseId),
    use_dynamic_base_id: given.has('use-dynamic-base-id'),
    skip_hot_restart_on_no_parent: given.has('skip-hot-restart-on-no-parent'),
    skip_hot_restart_parent_stats: given.has('skip-hot-restart-parent-stats'),
    concurrency: flags.concurrency ?? availableCores(),
    config_path: flags.configPath ?? '',
    config_yaml: flags.configYaml ?? '',
    allow_unknown_static_fields: flags.allowUnknownStaticFields,
    reject_unknown_dynamic_fields: given.has('reject-unknown-dynamic-fields'),
    ignore_unknown_dynamic_fields: given.has('ignore-unknown-dynamic-fields'),
    admin_address_path: flags.adminAddressPath ?? '',
    local_address_ip_version: flags.localAddressIpVersion,
    log_level: flags.logLevel,
    component_log_level: flags.componentLogLevel ?? '',
    log_format: flags.logFormat ?? DEFAULT_LOG_PATTERN,
    log_format_escaped: flags.logFormatEscaped,
    log_path: flags.logPath ?? '',
    service_cluster: flags.serviceCluster ?? '',
    service_node: flags.serviceNode ?? '',
    service_zone: flags.serviceZone ?? '',
    file_flush_interval: `${flags.fileFlushIntervalMs / 1000}s`,
    drain_time: `${flags.drainTimeS ?? DEFAULT_DRAIN_TIME_S}s`,
    drain_strategy: flags.drainStrategy === 'gradual' ? 'Gradual' : 'Immediate',
    parent_shutdown_time: `${flags.parentShutdownTimeS}s`,
    mode: MODES[flags.mode],
    disable_hot_restart: given.has('disable-hot-restart'),
    enable_mutex_tracing: given.has('enable-mutex-tracing'),
    restart_epoch: flags.restartEpoch,
    cpuset_threads: given.has('cpuset-threads'),
    disabled_extensions: flags.disabledExtensions,
    enable_fine_grain_logging: given.has('enable-fine-grain-logging'),
    enable_core_dump: given.has('enable-core-dump'),
    stats_tag: flags.statsTags.map(({ name, value }) => `${name}:${value}`),
  };
}
