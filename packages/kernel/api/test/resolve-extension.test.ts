import { writeFileSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type AccessLoggerExtension,
  ConfigError,
  defineAccessLogger,
  ExtensionRegistry,
} from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import {
  anyPack,
  create,
  DataSourceSchema,
  FileAccessLogSchema,
  readDataSource,
  resolveExtension,
  RouterSchema,
  StdoutAccessLogSchema,
} from '../src/index.ts';

const file = defineAccessLogger({
  name: 'envoy.access_loggers.file',
  config: FileAccessLogSchema,
  create: () => ({ log() {} }),
});
const aliased: AccessLoggerExtension = {
  ...file,
  name: 'test.aliased',
  config: RouterSchema,
  configAliases: [StdoutAccessLogSchema],
};
const registry = new ExtensionRegistry([file, aliased]);
const packed = anyPack(FileAccessLogSchema, create(FileAccessLogSchema, { path: '/x' }));

describe('resolveExtension', () => {
  it('finds by the type of the config, whatever the name', () => {
    const found = resolveExtension(registry, 'access-loggers', 'mine', packed);
    expect(found.extension).toBe(file);
    expect(found.message).toMatchObject({ path: '/x' });
  });

  it('finds by name when there is no config, which is then empty', () => {
    const found = resolveExtension(registry, 'access-loggers', 'envoy.access_loggers.file', undefined);
    expect(found.message).toEqual(create(FileAccessLogSchema));
  });

  it('takes a config of an older type', () => {
    const any = anyPack(StdoutAccessLogSchema, create(StdoutAccessLogSchema));
    expect(resolveExtension(registry, 'access-loggers', 'x', any)).toMatchObject({
      extension: aliased,
      message: { $typeName: StdoutAccessLogSchema.typeName },
    });
  });

  it('names the package of an extension that is not there', () => {
    expect(() =>
      resolveExtension(registry, 'http-filters', 'envoy.filters.http.router', undefined, 'a.b'),
    ).toThrow(/^a\.b: .*@dragoman\/http-filter-router/);
  });
});

describe('readDataSource', () => {
  const path = join(mkdtempSync(join(tmpdir(), 'dragoman-')), 'body');
  writeFileSync(path, 'from a file');

  it.each([
    ['inline_string', { case: 'inlineString', value: 'häh' }, 'häh'],
    ['inline_bytes', { case: 'inlineBytes', value: Uint8Array.of(104, 105) }, 'hi'],
    ['environment_variable', { case: 'environmentVariable', value: 'X' }, 'from X'],
    ['filename', { case: 'filename', value: path }, 'from a file'],
  ] as const)('reads %s', (_name, specifier, text) => {
    expect(readDataSource(create(DataSourceSchema, { specifier }), { X: 'from X' }).toString()).toBe(text);
  });

  it.each([
    ['environment_variable', { case: 'environmentVariable', value: 'MISSING' }],
    ['filename', { case: 'filename', value: `${path}-not-there` }],
    ['', { case: undefined }],
  ] as const)('says what of it cannot be read: %s', (field, specifier) => {
    const read = () => readDataSource(create(DataSourceSchema, { specifier }), {});
    expect(read).toThrow(ConfigError);
    try {
      read();
    } catch (error) {
      expect((error as ConfigError).problems[0]?.path).toBe(field);
    }
  });
});
