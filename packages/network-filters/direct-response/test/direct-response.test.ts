import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  create,
  type DataSource,
  DataSourceSchema,
  DirectResponseConfigSchema,
  WatchedDirectorySchema,
} from '@dragoman/api';
import { filteredPair, networkFilterConformance, testContext } from '@dragoman/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { directResponse } from '../src/index.ts';

const configOf = (response?: DataSource) => create(DirectResponseConfigSchema, { response }) as never;
const source = (specifier: DataSource['specifier']) => create(DataSourceSchema, { specifier });

function answer(config: never) {
  const pair = filteredPair(directResponse.create(config, testContext()));
  pair.run();
  return pair;
}

networkFilterConformance(
  { describe, it },
  {
    extension: directResponse,
    config: configOf(source({ case: 'inlineString', value: 'moved\n' })),
    invalid: [
      {
        name: 'a file that is not there',
        config: configOf(source({ case: 'filename', value: '/no/such/file' })),
        path: 'response.filename',
      },
      {
        name: 'a variable that is not set',
        config: configOf(source({ case: 'environmentVariable', value: 'DRAGOMAN_TEST_NOT_SET' })),
        path: 'response.environment_variable',
      },
      { name: 'a source without one', config: configOf(create(DataSourceSchema)), path: 'response' },
      {
        name: 'a watched directory',
        config: configOf(
          create(DataSourceSchema, {
            specifier: { case: 'filename', value: '/dev/null' },
            watchedDirectory: create(WatchedDirectorySchema, { path: '/tmp' }),
          }),
        ),
        path: 'response.watched_directory',
      },
    ],
  },
);

describe('the answer', () => {
  let directory = '';
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'direct-response-'));
    writeFileSync(join(directory, 'body'), Buffer.from([0, 255, 10]));
    process.env['DRAGOMAN_TEST_BODY'] = 'from outside';
  });
  afterAll(() => {
    rmSync(directory, { recursive: true });
    delete process.env['DRAGOMAN_TEST_BODY'];
  });

  it.each<[string, () => DataSource, Buffer]>([
    ['inline_string', () => source({ case: 'inlineString', value: 'é' }), Buffer.from('é')],
    [
      'inline_bytes',
      () => source({ case: 'inlineBytes', value: new Uint8Array([1, 2]) }),
      Buffer.from([1, 2]),
    ],
    [
      'filename',
      () => source({ case: 'filename', value: join(directory, 'body') }),
      Buffer.from([0, 255, 10]),
    ],
    [
      'environment_variable',
      () => source({ case: 'environmentVariable', value: 'DRAGOMAN_TEST_BODY' }),
      Buffer.from('from outside'),
    ],
    ['an empty text', () => source({ case: 'inlineString', value: '' }), Buffer.alloc(0)],
  ])('is %s, then the end', (_, make, expected) => {
    const pair = answer(configOf(make()));
    expect(pair.received()).toEqual(expected);
    expect(pair.server.open).toBe(false);
    expect(pair.info.responseCodeDetails).toBe('direct_response');
    expect(pair.server.info.terminationDetails).toBe('direct_response');
  });

  it('is nothing but the end without a response', () => {
    const pair = answer(configOf());
    expect(pair.received()).toHaveLength(0);
    expect(pair.server.open).toBe(false);
  });
});
