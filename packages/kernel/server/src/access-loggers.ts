import { createAccessLogFilter } from '@dragoman/access-log';
import { type AccessLog, anyTypeName, create, unpackAnyAs } from '@dragoman/api';
import {
  type AccessLogFilter,
  type AccessLogger,
  atPath,
  ConfigError,
  type LogContext,
  ProblemCollector,
  type WorkerContext,
} from '@dragoman/core';

/** Writes only what its filter lets through. */
class FilteredLogger implements AccessLogger {
  private readonly logger: AccessLogger;
  private readonly passes: AccessLogFilter;

  constructor(logger: AccessLogger, passes: AccessLogFilter) {
    this.logger = logger;
    this.passes = passes;
  }

  log(context: LogContext): void {
    if (this.passes(context)) this.logger.log(context);
  }
}

/** @throws ConfigError with paths from `[i]` */
export function createAccessLoggers(
  configs: readonly AccessLog[],
  context: WorkerContext,
): readonly AccessLogger[] {
  const problems = new ProblemCollector();
  const loggers = configs.map((config, i) => problems.try(`[${i}]`, () => createLogger(config, context)));
  problems.throwIfAny();
  return loggers as AccessLogger[];
}

function createLogger(config: AccessLog, context: WorkerContext): AccessLogger {
  const { name, filter, configType } = config;
  const any = configType.case === 'typedConfig' ? configType.value : undefined;
  const typeName = any === undefined ? undefined : anyTypeName(any);
  const extension = context.extensions.resolve('access-loggers', name, typeName, 'typed_config');
  const schema = extension.config;
  const message =
    schema === undefined ? undefined : any === undefined ? create(schema) : unpackAnyAs(any, schema);
  if (schema !== undefined && message === undefined) {
    throw ConfigError.at('typed_config', `expected ${schema.typeName}, found ${typeName}`);
  }
  const logger = atPath('typed_config', () => extension.create(message as never, context));
  if (filter === undefined) return logger;
  const passes = atPath('filter', () => createAccessLogFilter(filter, context));
  return new FilteredLogger(logger, passes);
}
