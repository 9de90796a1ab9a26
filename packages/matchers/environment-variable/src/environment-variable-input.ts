import { EnvironmentVariableConfigSchema } from '@dragoman/api';
import { ConfigError, defineMatchInput } from '@dragoman/core';
import { utf8Bytes } from '@dragoman/matching';

/** An environment variable, read once when the config is loaded; nothing when it is not set. */
export const environmentVariableInput = defineMatchInput({
  name: 'envoy.matching.common_inputs.environment_variable',
  config: EnvironmentVariableConfigSchema,
  createCommon({ name }) {
    if (name === '') throw ConfigError.at('name', 'is required');
    const value = process.env[name];
    const text = value === undefined ? undefined : utf8Bytes(value);
    return { kind: 'text', get: () => text };
  },
});
