import { DownstreamConnectionsConfigSchema } from '@dragoman/api';
import { ConfigError, defineResourceMonitor } from '@dragoman/core';

/**
 * `envoy.resource_monitors.global_downstream_max_connections`: limits the downstream connections of the whole proxy. Listeners look at
 * the limit themselves, with each connection.
 */
export const downstreamConnections = defineResourceMonitor({
  name: 'envoy.resource_monitors.global_downstream_max_connections',
  config: DownstreamConnectionsConfigSchema,
  create({ maxActiveDownstreamConnections }, context) {
    const max = Number(maxActiveDownstreamConnections);
    if (max <= 0)
      throw ConfigError.at(
        'max_active_downstream_connections',
        'must be greater than 0: how many connections there may be',
      );
    return {
      maxDownstreamConnections: max,
      measure: () => context.downstreamConnections() / max,
    };
  },
});
