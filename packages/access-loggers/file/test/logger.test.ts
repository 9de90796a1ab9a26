import {
  create,
  FileAccessLogSchema,
  type MessageInitShape,
  type SubstitutionFormatString,
} from '@dragoman/api';
import {
  ConfigError,
  type FormatterFactory,
  type LogContext,
  StreamInfo,
  type TextFormatter,
} from '@dragoman/core';
import { connectionInfo, testContext } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { fileAccessLogger } from '../src/index.ts';

/** Formats that say how they were asked for. */
const formatters: FormatterFactory = {
  text: (format) => named(`text ${format}`),
  fromConfig: (config, options) => {
    const { format, omitEmptyValues } = config as SubstitutionFormatString;
    if (JSON.stringify(format.value).includes('%X%'))
      throw ConfigError.at('json_format.a', 'unknown operator %X%');
    return named(
      `${format.case} ${JSON.stringify(format.value)} ${omitEmptyValues} ${options?.valuesAsText}`,
    );
  },
  default: named('default'),
};

function named(name: string): TextFormatter {
  return { format: ({ type }) => `${name} ${type}\n` };
}

const entry: LogContext = {
  info: new StreamInfo(connectionInfo(), 0, 0),
  request: undefined,
  response: undefined,
  responseTrailers: undefined,
  type: 'DownstreamEnd',
};

type Format = MessageInitShape<typeof FileAccessLogSchema>['accessLogFormat'];
const config = (accessLogFormat?: Format, path = '/var/log/a.log') =>
  create(FileAccessLogSchema, { path, accessLogFormat });

describe('file access logger', () => {
  it.each<[Format, string]>([
    [undefined, 'default'],
    [{ case: 'format', value: '' }, 'default'],
    [{ case: 'format', value: '%PROTOCOL%' }, 'text %PROTOCOL%'],
    [{ case: 'jsonFormat', value: { a: 'b' } }, 'jsonFormat {"a":"b"} false true'],
    [{ case: 'typedJsonFormat', value: { a: 'b' } }, 'jsonFormat {"a":"b"} false false'],
    [
      { case: 'logFormat', value: { format: { case: 'textFormat', value: 'x' }, omitEmptyValues: true } },
      'textFormat "x" true undefined',
    ],
  ])('writes an entry in the format of %j', (format, expected) => {
    const context = testContext({ formatters });
    const logger = fileAccessLogger.create(config(format) as never, context);
    expect([...context.files.keys()]).toEqual(['/var/log/a.log']);
    logger.log(entry);
    logger.log({ ...entry, type: 'TcpPeriodic' });
    expect(context.files.get('/var/log/a.log')).toEqual([
      `${expected} DownstreamEnd\n`,
      `${expected} TcpPeriodic\n`,
    ]);
    expect(context.warnings).toEqual([]);
  });

  it('warns of a content type, which a log file does not have', () => {
    const context = testContext({ formatters });
    const value = { format: { case: 'textFormat' as const, value: 'x' }, contentType: 'text/html' };
    fileAccessLogger.create(config({ case: 'logFormat', value }) as never, context);
    expect(context.warnings).toEqual(['log_format.content_type: has no effect in a log file']);
  });

  it('places what is wrong', () => {
    const context = testContext({ formatters });
    const refused = (format: Format, path?: string) => () =>
      fileAccessLogger.create(config(format, path) as never, context);
    expect(refused({ case: 'typedJsonFormat', value: { a: '%X%' } })).toThrow(
      'typed_json_format.a: unknown operator %X%',
    );
    expect(refused({ case: 'jsonFormat', value: { a: '%X%' } })).toThrow(
      /^json_format\.a: unknown operator %X%$/,
    );
    const value = { format: { case: 'jsonFormat' as const, value: { a: '%X%' } } };
    expect(refused({ case: 'logFormat', value })).toThrow('log_format.json_format.a: unknown operator %X%');
    expect(refused(undefined, '')).toThrow('path: must not be empty');
    expect(context.files.size).toBe(0);
  });

  it('is Envoy’s extension', () => {
    expect(fileAccessLogger.name).toBe('envoy.access_loggers.file');
    expect(fileAccessLogger.category).toBe('access-loggers');
    expect(fileAccessLogger.config?.typeName).toBe('envoy.extensions.access_loggers.file.v3.FileAccessLog');
  });
});
