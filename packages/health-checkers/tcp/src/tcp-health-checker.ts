import { HealthCheck_TcpHealthCheckSchema as TcpHealthCheckSchema } from '@dragoman/api';
import { defineHealthChecker } from '@dragoman/core';
import { ByteCheckSession } from '@dragoman/health-checking';
import { parseConfig } from './config.ts';
import { TcpCheckExchange } from './exchange.ts';

/** `envoy.health_checkers.tcp`, and `tcp_health_check`: a host is well when it takes connections, or answers bytes with bytes. */
export const tcpHealthChecker = defineHealthChecker({
  name: 'envoy.health_checkers.tcp',
  config: TcpHealthCheckSchema,
  field: 'tcp_health_check',
  create(config, context) {
    const options = parseConfig(config);
    return { session: (target) => new ByteCheckSession(context, target, new TcpCheckExchange(options)) };
  },
});
