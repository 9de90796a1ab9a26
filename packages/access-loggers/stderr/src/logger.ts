import { StderrAccessLogSchema } from '@dragoman/api';
import { defineAccessLogger } from '@dragoman/core';
import { createLineLogger } from '@dragoman/line-logger';

/** `envoy.access_loggers.stderr`: entries to standard error. */
export const stderrAccessLogger = defineAccessLogger({
  name: 'envoy.access_loggers.stderr',
  config: StderrAccessLogSchema,
  create: (config, context) => createLineLogger(config.accessLogFormat, '/dev/stderr', context),
});
