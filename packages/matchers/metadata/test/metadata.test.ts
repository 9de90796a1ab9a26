import {
  DynamicMetadataInputSchema,
  InputMatchersMetadataSchema,
  type JsonObject,
  readLoose,
} from '@dragoman/api';
import { type MetadataValue, StreamInfo } from '@dragoman/core';
import { connectionInfo, testContext } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { dynamicMetadataInput, metadataMatcher } from '../src/index.ts';

const input = (json: JsonObject) =>
  dynamicMetadataInput.createHttp?.(readLoose(DynamicMetadataInputSchema, json) as never, testContext());
const matcher = (json: JsonObject) =>
  metadataMatcher.create(readLoose(InputMatchersMetadataSchema, json) as never, testContext());

describe('dynamicMetadataInput', () => {
  it.each<[path: string[], expected: MetadataValue | undefined]>([
    [['a'], { b: [1, 2], c: 'x' }],
    [
      ['a', 'b'],
      [1, 2],
    ],
    [['a', 'c'], 'x'],
    [['a', 'c', 'd'], undefined],
    [['z'], undefined],
    [['toString'], undefined],
  ])('%j', (path, expected) => {
    const info = new StreamInfo(connectionInfo(), 0, 0);
    const data = {
      info,
      requestHeaders: undefined,
      requestTrailers: undefined,
      responseHeaders: undefined,
      responseTrailers: undefined,
    };
    const made = input({ filter: 'f', path: path.map((key) => ({ key })) });
    expect(made?.kind).toBe('value');
    expect(made?.get(data)).toBe(undefined);
    expect(info.hasDynamicMetadata).toBe(false);
    info.dynamicMetadata.set('f', { a: { b: [1, 2], c: 'x' } });
    expect(made?.get(data)).toEqual(expected);
  });

  it.each<[json: JsonObject, message: RegExp]>([
    [{ path: [{ key: 'a' }] }, /^filter: /],
    [{ filter: 'f' }, /^path: /],
    [{ filter: 'f', path: [{ key: 'a' }, {}] }, /^path\[1\]: /],
  ])('refuses %j', (json, message) => {
    expect(() => input(json)).toThrow(message);
  });
});

describe('metadataMatcher', () => {
  it.each<[json: JsonObject, value: MetadataValue | undefined, holds: boolean]>([
    [{ value: { string_match: { exact: 'é' } } }, 'é', true],
    [{ value: { string_match: { exact: 'a' } } }, 'b', false],
    [{ value: { string_match: { exact: 'a' } } }, undefined, false],
    [{ value: { present_match: true } }, null, true],
    [{ value: { present_match: true } }, undefined, false],
    [{ value: { double_match: { range: { start: 1, end: 3 } } } }, 2, true],
    [{ value: { list_match: { one_of: { bool_match: true } } } }, [false, true], true],
  ])('%j of %j: %s', (json, value, holds) => {
    const made = matcher(json);
    expect(made.takes).toBe('value');
    expect(made.matches(value)).toBe(holds);
    expect(matcher({ ...json, invert: true }).matches(value)).toBe(!holds);
  });

  it('needs a value', () => {
    expect(() => matcher({})).toThrow(/^value: is required/);
    expect(() => matcher({ value: { string_match: {} } })).toThrow(/^value\.string_match: /);
  });
});
