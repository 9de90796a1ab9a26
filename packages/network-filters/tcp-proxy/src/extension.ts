import { TcpProxySchema } from '@dragoman/api';
import { defineNetworkFilter } from '@dragoman/core';
import { parseConfig } from './config.ts';
import { TcpProxyFilter } from './filter.ts';
import { TcpProxyStats } from './stats.ts';

/** `envoy.filters.network.tcp_proxy`. */
export const tcpProxy = defineNetworkFilter({
  name: 'envoy.filters.network.tcp_proxy',
  config: TcpProxySchema,
  terminal: true,
  create(config, context) {
    const options = parseConfig(config, context);
    const stats = new TcpProxyStats(context.stats.scope(`tcp.${options.statPrefix}`));
    return (filtered) => new TcpProxyFilter(options, stats, context, filtered);
  },
});
