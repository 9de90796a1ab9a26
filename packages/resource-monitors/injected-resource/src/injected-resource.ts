import { readFile } from 'node:fs/promises';
import { InjectedResourceConfigSchema } from '@dragoman/api';
import { ConfigError, defineResourceMonitor } from '@dragoman/core';

/** `envoy.resource_monitors.injected_resource`: the pressure that a file says, read at each refresh. */
export const injectedResource = defineResourceMonitor({
  name: 'envoy.resource_monitors.injected_resource',
  config: InjectedResourceConfigSchema,
  create({ filename }) {
    if (filename === '')
      throw ConfigError.at('filename', 'is required: a file that holds a number from 0 to 1');
    return { measure: async () => pressureOf(await readFile(filename, 'latin1'), filename) };
  },
});

/** @throws Error for what is no number from 0 to 1 */
function pressureOf(text: string, filename: string): number {
  const trimmed = text.trim();
  const pressure = Number(trimmed);
  if (trimmed === '' || Number.isNaN(pressure))
    throw new Error(`${filename} holds "${trimmed.slice(0, 40)}", and no number`);
  if (pressure < 0 || pressure > 1)
    throw new Error(`${filename}: the pressure is ${trimmed}, which is not from 0 to 1`);
  return pressure;
}
