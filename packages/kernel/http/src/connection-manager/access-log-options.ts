import { durationMs, type HttpConnectionManager } from '@dragoman/api';
import { ProblemCollector } from '@dragoman/core';

/** When a stream is logged besides at its end. */
export interface AccessLogTimes {
  /** `access_log_flush_interval`, ms; 0: never. Entries are of type `DownstreamPeriodic`. */
  readonly intervalMs: number;
  /** `flush_access_log_on_new_request`: once the route is known, before filters run; `DownstreamStart`. */
  readonly onNewRequest: boolean;
  /** `flush_log_on_tunnel_successfully_established`; `DownstreamTunnelSuccessfullyEstablished`. */
  readonly onTunnel: boolean;
}

/**
 * Reads `access_log_options`, or the two fields before it, which it replaces.
 * @throws ConfigError when both are set
 */
export function compileAccessLogTimes(config: HttpConnectionManager): AccessLogTimes {
  const { accessLogOptions: options, accessLogFlushInterval, flushAccessLogOnNewRequest } = config;
  if (options === undefined) {
    return {
      intervalMs: durationMs(accessLogFlushInterval) ?? 0,
      onNewRequest: flushAccessLogOnNewRequest,
      onTunnel: false,
    };
  }
  const problems = new ProblemCollector();
  if (flushAccessLogOnNewRequest) problems.add('flush_access_log_on_new_request', BOTH);
  if (accessLogFlushInterval !== undefined) problems.add('access_log_flush_interval', BOTH);
  problems.throwIfAny();
  return {
    intervalMs: durationMs(options.accessLogFlushInterval) ?? 0,
    onNewRequest: options.flushAccessLogOnNewRequest,
    onTunnel: options.flushLogOnTunnelSuccessfullyEstablished,
  };
}

const BOTH = 'may not be set beside access_log_options; write it there';
