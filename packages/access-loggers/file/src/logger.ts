import {
  create,
  type FileAccessLog,
  FileAccessLogSchema,
  type SubstitutionFormatString,
  SubstitutionFormatStringSchema,
} from '@dragoman/api';
import {
  type AccessLogger,
  atPath,
  ConfigError,
  defineAccessLogger,
  type LogContext,
  type LogFile,
  type TextFormatter,
  type WorkerContext,
} from '@dragoman/core';

/** Writes one line for each entry to a file. */
class FileAccessLogger implements AccessLogger {
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

/** The formatter a config asks for, in any of its four forms; without one, Envoy's default line. */
function formatterOf(config: FileAccessLog, context: WorkerContext): TextFormatter {
  const { formatters } = context;
  const format = config.accessLogFormat;
  switch (format.case) {
    case 'logFormat':
      return atPath('log_format', () => {
        if (format.value.contentType !== '')
          context.warn('log_format.content_type', 'has no effect in a log file');
        return formatters.fromConfig(format.value);
      });
    case 'format':
      return format.value === '' ? formatters.default : atPath('format', () => formatters.text(format.value));
    case 'jsonFormat':
      return deprecatedJson('json_format', jsonMessage(format.value), true, context);
    case 'typedJsonFormat':
      return deprecatedJson('typed_json_format', jsonMessage(format.value), false, context);
    default:
      return formatters.default;
  }
}

function jsonMessage(value: SubstitutionFormatString['format']['value'] & object): SubstitutionFormatString {
  return create(SubstitutionFormatStringSchema, { format: { case: 'jsonFormat', value: value as never } });
}

/** The older JSON forms: the path of an error is the older field, not the one it stands for. */
function deprecatedJson(
  field: string,
  message: SubstitutionFormatString,
  valuesAsText: boolean,
  context: WorkerContext,
): TextFormatter {
  try {
    return context.formatters.fromConfig(message, { valuesAsText });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(
      error.problems.map((problem) => ({ ...problem, path: problem.path.replace(/^json_format/, field) })),
    );
  }
}

/** `envoy.access_loggers.file`: entries into a file. */
export const fileAccessLogger = defineAccessLogger({
  name: 'envoy.access_loggers.file',
  config: FileAccessLogSchema,
  create(config, context) {
    if (config.path === '') throw ConfigError.at('path', 'must not be empty');
    const formatter = formatterOf(config, context);
    return new FileAccessLogger(formatter, context.logFiles.open(config.path));
  },
});
