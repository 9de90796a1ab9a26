import { StdoutAccessLogSchema } from '@dragoman/api';
import {
  type AccessLogger,
  atPath,
  defineAccessLogger,
  type LogContext,
  type LogFile,
  type TextFormatter,
} from '@dragoman/core';

/** Writes one line for each entry to standard output. */
class StdoutAccessLogger implements AccessLogger {
  private readonly formatter: TextFormatter;
  private readonly file: LogFile;

  constructor(formatter: TextFormatter, file: LogFile) {
    this.formatter = formatter;
    this.file = file;
  }

  log(context: LogContext): void {
    this.file.write(this.formatter.format(context));
  }
}

/** `envoy.access_loggers.stdout`: entries to standard output. */
export const stdoutAccessLogger = defineAccessLogger({
  name: 'envoy.access_loggers.stdout',
  config: StdoutAccessLogSchema,
  create(config, context) {
    const format = config.accessLogFormat;
    const formatter =
      format.case === undefined
        ? context.formatters.default
        : atPath('log_format', () => {
            if (format.value.contentType !== '') {
              context.warn('log_format.content_type', 'has no effect in a log');
            }
            return context.formatters.fromConfig(format.value);
          });
    return new StdoutAccessLogger(formatter, context.logFiles.open('/dev/stdout'));
  },
});
