import { create, type FileAccessLog, SubstitutionFormatStringSchema } from '@dragoman/api';
import { atPath, ConfigError, type TextFormatter, type WorkerContext } from '@dragoman/core';

/**
 * The oneof `access_log_format` of an access logger's message: `log_format`, or one of the older fields that only `FileAccessLog` has.
 */
export type LineFormat = FileAccessLog['accessLogFormat'];

type JsonFormat = Extract<LineFormat, { case: 'jsonFormat' | 'typedJsonFormat' }>['value'];

/**
 * The formatter that a config asks for; Envoy's default line when it asks for none.
 *
 * @throws ConfigError at the field that is set, and below
 */
export function readLineFormat(format: LineFormat, context: WorkerContext): TextFormatter {
  const { formatters } = context;
  switch (format.case) {
    case 'logFormat':
      return atPath('log_format', () => {
        if (format.value.contentType !== '') {
          context.warn('log_format.content_type', 'has no effect in a log');
        }
        return formatters.fromConfig(format.value);
      });
    case 'format':
      return format.value === '' ? formatters.default : atPath('format', () => formatters.text(format.value));
    case 'jsonFormat':
      return olderJson('json_format', format.value, true, context);
    case 'typedJsonFormat':
      return olderJson('typed_json_format', format.value, false, context);
    default:
      return formatters.default;
  }
}

/** The older JSON fields: the path of an error begins with the older field, not with the one it stands for. */
function olderJson(
  field: string,
  value: JsonFormat,
  valuesAsText: boolean,
  context: WorkerContext,
): TextFormatter {
  try {
    const message = create(SubstitutionFormatStringSchema, { format: { case: 'jsonFormat', value } });
    return context.formatters.fromConfig(message, { valuesAsText });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(
      error.problems.map((problem) => ({ ...problem, path: problem.path.replace(/^json_format/, field) })),
    );
  }
}
