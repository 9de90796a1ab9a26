import { create, StdoutAccessLogSchema } from '@dragoman/api';
import { ConfigError } from '@dragoman/core';
import { accessLoggerConformance, logContext, plainFormatters, testContext } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { stdoutAccessLogger } from '../src/index.ts';

const byDefault = create(StdoutAccessLogSchema) as never;
const formatted = create(StdoutAccessLogSchema, {
  accessLogFormat: { case: 'logFormat', value: {} },
}) as never;

accessLoggerConformance(
  { describe, it },
  {
    extension: stdoutAccessLogger,
    config: byDefault,
    context: () => testContext({ formatters: { ...plainFormatters(), fromConfig: refuse } }),
    invalid: [{ name: 'a wrong format', config: formatted, path: 'log_format.text_format' }],
  },
);

function refuse(): never {
  throw ConfigError.at('text_format', 'unknown operator');
}

it.each([
  ['by default', byDefault, 'DownstreamEnd GET 200\n'],
  ['in the format of its config', formatted, 'formatted\n'],
])('writes to standard output %s', (_when, config, line) => {
  const fromConfig = () => ({ format: () => 'formatted\n' });
  const context = testContext({ formatters: { ...plainFormatters(), fromConfig } });
  stdoutAccessLogger.create(config, context).log(logContext());
  expect([...context.files]).toEqual([['/dev/stdout', [line]]]);
});

it('is Envoy’s extension', () => {
  expect(stdoutAccessLogger.name).toBe('envoy.access_loggers.stdout');
  expect(stdoutAccessLogger.config?.typeName).toBe(
    'envoy.extensions.access_loggers.stream.v3.StdoutAccessLog',
  );
});
