import { type Bootstrap, Bootstrap_StaticResourcesSchema, BootstrapSchema, AdminSchema } from '@dragoman/api';
import { ProblemCollector, refuseUnsupported } from '@dragoman/core';
import { StaticSecrets } from './secrets.ts';

const SUPPORTED = new Set([
  'node',
  'static_resources',
  'admin',
  'stats_config',
  'stats_flush_interval',
  'stats_flush_on_admin',
  'layered_runtime',
  'typed_dns_resolver_config',
  'dns_resolution_config',
  'watchdog',
  'watchdogs',
  'overload_manager',
]);

const REASONS = {
  dynamic_resources:
    'configuration from a management server (xDS) is not supported yet; write static_resources',
  tracing: 'tracing is not supported yet; remove it',
  hds_config: 'health discovery (HDS) is not supported yet; remove it',
  cluster_manager:
    'cluster_manager (zone-aware routing, outlier log, bind config for all clusters) is not supported yet; remove it',
  use_tcp_for_dns_lookups: 'DNS over TCP only cannot be asked for on Node; remove it',
  stats_sinks: 'stats sinks are not supported yet; scrape /stats/prometheus instead',
};

const STATIC_SUPPORTED = new Set(['listeners', 'clusters', 'secrets']);
const ADMIN_SUPPORTED = new Set([
  'access_log',
  'access_log_path',
  'profile_path',
  'address',
  'ignore_global_conn_limit',
]);

/**
 * Refuses what a bootstrap sets at its top and this proxy does not act on; what stands deeper is refused where it is read.
 * @throws ConfigError with every such field
 */
export function checkBootstrapFields(bootstrap: Bootstrap): void {
  const problems = new ProblemCollector();
  problems.try('', () => refuseUnsupported(bootstrap, BootstrapSchema, SUPPORTED, '', REASONS));
  const { staticResources, admin } = bootstrap;
  if (staticResources !== undefined) {
    problems.try('static_resources', () =>
      refuseUnsupported(staticResources, Bootstrap_StaticResourcesSchema, STATIC_SUPPORTED),
    );
    StaticSecrets.check(staticResources.secrets, problems);
  }
  if (admin !== undefined)
    problems.try('admin', () => refuseUnsupported(admin, AdminSchema, ADMIN_SUPPORTED));
  problems.throwIfAny();
}
