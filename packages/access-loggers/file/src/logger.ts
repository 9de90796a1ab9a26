import { FileAccessLogSchema } from '@dragoman/api';
import { ConfigError, defineAccessLogger } from '@dragoman/core';
import { createLineLogger } from '@dragoman/line-logger';

/** `envoy.access_loggers.file`: entries into a file. */
export const fileAccessLogger = defineAccessLogger({
  name: 'envoy.access_loggers.file',
  config: FileAccessLogSchema,
  create({ path, accessLogFormat }, context) {
    if (path === '') throw ConfigError.at('path', 'must not be empty');
    return createLineLogger(accessLogFormat, path, context);
  },
});
