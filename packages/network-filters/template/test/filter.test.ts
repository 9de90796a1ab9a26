import { create, UInt32ValueSchema } from '@dragoman/api';
import { StreamInfo } from '@dragoman/core';
import { connectionPair, networkFilterConformance, testContext } from '@dragoman/testing';
import { describe, expect, it, test } from 'vitest';
import { template } from '../src/index.ts';

const config = (value: number) => create(UInt32ValueSchema, { value }) as never;

networkFilterConformance(
  { describe, it },
  {
    extension: template,
    config: config(100),
    invalid: [{ name: 'a limit of no byte at all', config: config(0), path: 'value' }],
  },
);

describe('the filter', () => {
  test('passes bytes on up to its limit, then closes the connection and counts it', () => {
    const context = testContext();
    const { server } = connectionPair();
    const createFilter = template.create(config(4), context);
    const filter = createFilter({
      connection: server,
      info: new StreamInfo(server.info, 0, 0),
      sole: true,
      resume: () => {},
    });
    expect(filter.onData?.(Buffer.from('ab'))).toBeUndefined();
    expect(filter.onData?.(Buffer.from('cd'))).toBeUndefined();
    expect(server.open).toBe(true);
    expect(filter.onData?.(Buffer.from('e'))).toBe('pause');
    expect(server.open).toBe(false);
    expect(server.info.terminationDetails).toBe('template_too_many_bytes');
    expect(context.stats.used()).toEqual({ 'template.closed': 1 });
  });
});
