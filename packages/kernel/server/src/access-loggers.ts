import { createAccessLogFilter } from '@dragoman/access-log';
import { type AccessLog, resolveExtension } from '@dragoman/api';
import {
  type AccessLogFilter,
  type AccessLogger,
  atPath,
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
  const { extension, message } = resolveExtension(context.extensions, 'access-loggers', name, any);
  const logger = atPath('typed_config', () => extension.create(message, context));
  if (filter === undefined) return logger;
  const passes = atPath('filter', () => createAccessLogFilter(filter, context));
  return new FilteredLogger(logger, passes);
}
