import {
  create,
  type MessageInitShape,
  StderrAccessLogSchema,
  type SubstitutionFormatString,
} from '@dragoman/api';
import { ConfigError, type FormatterFactory, type LogContext, StreamInfo } from '@dragoman/core';
import { connectionInfo, testContext } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { stderrAccessLogger } from '../src/index.ts';

/** Formats that say how they were asked for. */
const formatters: FormatterFactory = {
  text: () => {
    throw new Error('not used here');
  },
  fromConfig: (config) => {
    const { format } = config as SubstitutionFormatString;
    if (format.case === undefined) throw ConfigError.at('', 'needs a format');
    return { format: ({ type }) => `${format.case} ${type}\n` };
  },
  default: { format: ({ type }) => `default ${type}\n` },
};

const entry: LogContext = {
  info: new StreamInfo(connectionInfo(), 0, 0),
  request: undefined,
  response: undefined,
  responseTrailers: undefined,
  type: 'DownstreamEnd',
};

function run(accessLogFormat?: MessageInitShape<typeof StderrAccessLogSchema>['accessLogFormat']) {
  const context = testContext({ formatters });
  const logger = stderrAccessLogger.create(
    create(StderrAccessLogSchema, { accessLogFormat }) as never,
    context,
  );
  logger.log(entry);
  return context;
}

describe('stderr access logger', () => {
  it('writes the default line', () => {
    expect([...run().files]).toEqual([['/dev/stderr', ['default DownstreamEnd\n']]]);
  });

  it('writes in the format of its config', () => {
    const context = run({ case: 'logFormat', value: { format: { case: 'textFormat', value: 'x' } } });
    expect([...context.files]).toEqual([['/dev/stderr', ['textFormat DownstreamEnd\n']]]);
    expect(context.warnings).toEqual([]);
  });

  it('warns of a content type, which a log does not have', () => {
    const value = { format: { case: 'textFormat' as const, value: 'x' }, contentType: 'text/html' };
    expect(run({ case: 'logFormat', value }).warnings).toEqual([
      'log_format.content_type: has no effect in a log',
    ]);
  });

  it('places what is wrong', () => {
    expect(() => run({ case: 'logFormat', value: {} })).toThrow('log_format: needs a format');
  });

  it('is Envoy’s extension', () => {
    expect(stderrAccessLogger.name).toBe('envoy.access_loggers.stderr');
    expect(stderrAccessLogger.config?.typeName).toBe(
      'envoy.extensions.access_loggers.stream.v3.StderrAccessLog',
    );
  });
});
