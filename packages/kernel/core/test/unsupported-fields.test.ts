import { create } from '@bufbuild/protobuf';
import { FieldDescriptorProtoSchema, ValueSchema } from '@bufbuild/protobuf/wkt';
import { describe, expect, it } from 'vitest';
import { ConfigError, refuseUnsupported, unsupportedFields } from '../src/index.ts';

describe('refuseUnsupported', () => {
  const message = create(FieldDescriptorProtoSchema, { name: 'a', number: 3, typeName: 'T', options: {} });

  it('accepts a message that sets only what is supported', () => {
    const supported = new Set(['name', 'number', 'type_name', 'options']);
    expect(() => refuseUnsupported(message, FieldDescriptorProtoSchema, supported, 'x')).not.toThrow();
  });

  it('names every other field that is set, with its path', () => {
    let error: unknown;
    try {
      refuseUnsupported(message, FieldDescriptorProtoSchema, new Set(['name']), 'clusters[0]');
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as ConfigError).problems.map((problem) => problem.path)).toEqual([
      'clusters[0].number',
      'clusters[0].type_name',
      'clusters[0].options',
    ]);
  });

  it('says the given reason, and sees members of a oneof by their names', () => {
    const value = create(ValueSchema, { kind: { case: 'stringValue', value: '' } });
    expect(
      unsupportedFields(value, ValueSchema, new Set(['bool_value']), '', { string_value: 'no texts here' }),
    ).toEqual([{ path: 'string_value', message: 'no texts here' }]);
    expect(unsupportedFields(value, ValueSchema, new Set(['string_value']), '')).toEqual([]);
  });
});
