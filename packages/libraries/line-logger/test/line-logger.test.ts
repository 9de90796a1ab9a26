import {
  create,
  FileAccessLogSchema,
  type MessageInitShape,
  type SubstitutionFormatString,
} from '@dragoman/api';
import { ConfigError, type FormatterFactory, type TextFormatter } from '@dragoman/core';
import { logContext, testContext } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { createLineLogger, type LineFormat, readLineFormat } from '../src/index.ts';

/** Formats that say how they were asked for. */
const formatters: FormatterFactory = {
  text: (format) => {
    if (format.includes('%X%')) throw ConfigError.at('', 'unknown operator %X%');
    return named(`text ${format}`);
  },
  fromConfig: (config, options) => {
    const { format, omitEmptyValues } = config as SubstitutionFormatString;
    const value = JSON.stringify(format.value);
    if (value.includes('%X%')) throw ConfigError.at('json_format.a', 'unknown operator %X%');
    if (value.includes('%BUG%')) throw new TypeError('a bug');
    return named(`${format.case} ${value} ${omitEmptyValues} ${options?.valuesAsText}`);
  },
  default: named('default'),
};

function named(name: string): TextFormatter {
  return { format: ({ type }) => `${name} ${type}\n` };
}

type Format = MessageInitShape<typeof FileAccessLogSchema>['accessLogFormat'];

function lineFormat(accessLogFormat?: Format): LineFormat {
  return create(FileAccessLogSchema, { accessLogFormat }).accessLogFormat;
}

const inLogFormat = (a: string): Format => ({
  case: 'logFormat',
  value: { format: { case: 'jsonFormat', value: { a } } },
});

describe('createLineLogger', () => {
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
  ])('writes each entry in the format of %j', (format, expected) => {
    const context = testContext({ formatters });
    const logger = createLineLogger(lineFormat(format), '/var/log/a.log', context);
    logger.log(logContext());
    logger.log(logContext({ type: 'TcpPeriodic' }));
    const lines = [`${expected} DownstreamEnd\n`, `${expected} TcpPeriodic\n`];
    expect([...context.files]).toEqual([['/var/log/a.log', lines]]);
    expect(context.warnings).toEqual([]);
  });

  it('opens no file for a format that is wrong', () => {
    const context = testContext({ formatters });
    expect(() => createLineLogger(lineFormat(inLogFormat('%X%')), '/var/log/a.log', context)).toThrow(
      ConfigError,
    );
    expect(context.files.size).toBe(0);
  });
});

describe('readLineFormat', () => {
  const context = testContext({ formatters });

  it.each<[string, Format]>([
    ['typed_json_format.a', { case: 'typedJsonFormat', value: { a: '%X%' } }],
    ['json_format.a', { case: 'jsonFormat', value: { a: '%X%' } }],
    ['log_format.json_format.a', inLogFormat('%X%')],
    ['format', { case: 'format', value: '%X%' }],
  ])('says that %s is wrong', (path, format) => {
    expect(() => readLineFormat(lineFormat(format), context)).toThrow(
      ConfigError.at(path, 'unknown operator %X%'),
    );
  });

  it('does not make a config error of a bug', () => {
    const format = lineFormat({ case: 'jsonFormat', value: { a: '%BUG%' } });
    expect(() => readLineFormat(format, context)).toThrow(TypeError);
  });

  it('warns of a content type, which a log does not have', () => {
    const context = testContext({ formatters });
    const value = { format: { case: 'textFormat' as const, value: 'x' }, contentType: 'text/html' };
    readLineFormat(lineFormat({ case: 'logFormat', value }), context);
    expect(context.warnings).toEqual(['log_format.content_type: has no effect in a log']);
  });
});
