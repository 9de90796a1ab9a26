import { StdoutAccessLogSchema } from '@dragoman/api';
import { defineAccessLogger } from '@dragoman/core';
import { createLineLogger } from '@dragoman/line-logger';

/** `envoy.access_loggers.stdout`: entries to standard output. */
export const stdoutAccessLogger = defineAccessLogger({
  name: 'envoy.access_loggers.stdout',
  config: StdoutAccessLogSchema,
  create: (config, context) => createLineLogger(config.accessLogFormat, '/dev/stdout', context),
});
