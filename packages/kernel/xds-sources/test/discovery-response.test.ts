import { ClusterSchema } from '@dragoman/api';
import { ConfigError } from '@dragoman/core';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { readResponse, UnreadableResponse } from '../src/discovery-response.ts';

const GOOD = JSON.stringify({
  version_info: '1',
  resources: [
    { '@type': 'type.googleapis.com/envoy.config.cluster.v3.Cluster', name: 'a', connect_timeout: '5s' },
    {
      '@type': 'type.googleapis.com/envoy.service.discovery.v3.Resource',
      name: 'b',
      resource: { '@type': 'type.googleapis.com/envoy.config.cluster.v3.Cluster', name: 'b' },
    },
  ],
});

/** Reads it, or is refused as whatever comes from outside may be. */
function read(bytes: Uint8Array, format: 'json' | 'yaml' | 'pb' | 'pb_text'): void {
  try {
    readResponse({ bytes, format, file: 'x' }, ClusterSchema, 'warn');
  } catch (error) {
    if (!(error instanceof ConfigError || error instanceof UnreadableResponse)) throw error;
    expect(error.message).not.toBe('');
  }
}

it.each(['json', 'yaml', 'pb', 'pb_text'] as const)('any bytes are read or refused: %s', (format) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => read(bytes, format)),
    { seed: 1, numRuns: 200 },
  );
});

it('so is a response that was spoilt somewhere', () => {
  const bytes = Buffer.from(GOOD);
  fc.assert(
    fc.property(
      fc.nat(bytes.length - 1),
      fc.nat(bytes.length - 1),
      fc.constantFrom('{', '}', '[', ']', '"', ',', ':', 'null', '0', '\u0000', '{"@type":"x"}'),
      (from, length, text) => {
        const spoilt = Buffer.concat([
          bytes.subarray(0, from),
          Buffer.from(text),
          bytes.subarray(from + (length % 20)),
        ]);
        read(spoilt, 'json');
      },
    ),
    { seed: 1, numRuns: 500 },
  );
});

it('nothing is nested too deeply to be refused', () => {
  const deep = `{"resources":[${'{"resource":'.repeat(20_000)}1${'}'.repeat(20_000)}]}`;
  expect(() => readResponse({ bytes: Buffer.from(deep), format: 'json' }, ClusterSchema, 'warn')).toThrow();
  read(Buffer.from(deep), 'json');
});
