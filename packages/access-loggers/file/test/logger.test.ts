import { create, FileAccessLogSchema, type MessageInitShape } from '@dragoman/api';
import { ConfigError } from '@dragoman/core';
import { accessLoggerConformance, logContext, plainFormatters, testContext } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { fileAccessLogger } from '../src/index.ts';

const config = (fields: MessageInitShape<typeof FileAccessLogSchema>) =>
  create(FileAccessLogSchema, { path: '/var/log/a.log', ...fields }) as never;

accessLoggerConformance(
  { describe, it },
  {
    extension: fileAccessLogger,
    config: config({}),
    context: () => testContext({ formatters: { ...plainFormatters(), fromConfig: refuse } }),
    invalid: [
      { name: 'an empty path', config: config({ path: '' }), path: 'path' },
      {
        name: 'a wrong format',
        config: config({ accessLogFormat: { case: 'typedJsonFormat', value: { a: '%X%' } } }),
        path: 'typed_json_format.a',
      },
    ],
  },
);

function refuse(): never {
  throw ConfigError.at('json_format.a', 'unknown operator %X%');
}

it.each([
  ['by default', config({}), 'DownstreamEnd GET 200\n'],
  [
    'in the format of its config',
    config({ accessLogFormat: { case: 'format', value: 'formatted\n' } }),
    'formatted\n',
  ],
])('writes to its path %s', (_when, message, line) => {
  const text = (format: string) => ({ format: () => format });
  const context = testContext({ formatters: { ...plainFormatters(), text } });
  fileAccessLogger.create(message, context).log(logContext());
  expect([...context.files]).toEqual([['/var/log/a.log', [line]]]);
});

it('lets loggers share a path', () => {
  const context = testContext({ formatters: plainFormatters() });
  const loggers = [config({}), config({})].map((message) => fileAccessLogger.create(message, context));
  for (const logger of loggers) logger.log(logContext());
  expect(context.files.get('/var/log/a.log')).toHaveLength(2);
});

it('is Envoy’s extension', () => {
  expect(fileAccessLogger.name).toBe('envoy.access_loggers.file');
  expect(fileAccessLogger.config?.typeName).toBe('envoy.extensions.access_loggers.file.v3.FileAccessLog');
});
