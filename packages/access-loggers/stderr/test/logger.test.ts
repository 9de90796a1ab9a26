import { create, StderrAccessLogSchema } from '@dragoman/api';
import { ConfigError } from '@dragoman/core';
import { accessLoggerConformance, logContext, plainFormatters, testContext } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { stderrAccessLogger } from '../src/index.ts';

const byDefault = create(StderrAccessLogSchema) as never;
const formatted = create(StderrAccessLogSchema, {
  accessLogFormat: { case: 'logFormat', value: {} },
}) as never;

accessLoggerConformance(
  { describe, it },
  {
    extension: stderrAccessLogger,
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
])('writes to standard error %s', (_when, config, line) => {
  const fromConfig = () => ({ format: () => 'formatted\n' });
  const context = testContext({ formatters: { ...plainFormatters(), fromConfig } });
  stderrAccessLogger.create(config, context).log(logContext());
  expect([...context.files]).toEqual([['/dev/stderr', [line]]]);
});

it('is Envoy’s extension', () => {
  expect(stderrAccessLogger.name).toBe('envoy.access_loggers.stderr');
  expect(stderrAccessLogger.config?.typeName).toBe(
    'envoy.extensions.access_loggers.stream.v3.StderrAccessLog',
  );
});
