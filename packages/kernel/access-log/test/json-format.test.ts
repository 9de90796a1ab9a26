import type { JsonObject } from '@dragoman/api';
import type { LogContext } from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import { createFormatterFactory } from '../src/index.ts';
import { emptyContext, fullContext, jsonMessage } from './fixtures.ts';

const factory = createFormatterFactory();

function line(format: JsonObject, context: LogContext, omitEmptyValues = false): string {
  return factory.fromConfig(jsonMessage(format, omitEmptyValues)).format(context);
}

describe('JSON format', () => {
  it('sorts keys, nests, keeps types and ends with a newline', () => {
    const format: JsonObject = {
      z: '%PROTOCOL%',
      a: { y: '%RESPONSE_CODE%', x: ['%DURATION%', 'word', 1.5, true, null, '%TRACE_ID%'] },
      m: 'code %RESPONSE_CODE% of %TRACE_ID%',
      Z: '',
      '"é': 'é',
    };
    expect(line(format, fullContext())).toBe(
      '{"\\"\xc3\xa9":"\xc3\xa9","Z":"","a":{"x":[34,"word",1.5,true,null,null],"y":200},"m":"code 200 of -","z":"HTTP/1.1"}\n',
    );
  });

  it('keeps a value that is one operator typed, and no other', () => {
    const format: JsonObject = {
      bare: '%RESPONSE_CODE%',
      spaced: ' %RESPONSE_CODE%',
      twice: '%RESPONSE_CODE%%RESPONSE_CODE%',
      percent: '%%',
      flags: '%RESPONSE_FLAGS%',
      empty: '%CUSTOM_FLAGS%',
      object: '%UPSTREAM_METADATA(envoy.lb)%',
      '%PROTOCOL%': 'key',
    };
    expect(line(format, fullContext())).toBe(
      '{"%PROTOCOL%":"key","bare":200,"empty":"","flags":"UF,URX","object":{"stage":"canary","weight":3},' +
        '"percent":"%","spaced":" 200","twice":"200200"}\n',
    );
  });

  it('makes an empty object of an empty format', () => {
    expect(line({}, fullContext())).toBe('{}\n');
    expect(line({ a: {}, b: [] }, fullContext())).toBe('{"a":{},"b":[]}\n');
  });

  it('leaves out what has no value when told to', () => {
    const format: JsonObject = {
      none: '%TRACE_ID%',
      text: '[%TRACE_ID%]',
      list: ['%TRACE_ID%', 'a', null],
      empty: { deep: { none: '%REQ(x-none)%' } },
      null: null,
      flags: '%CUSTOM_FLAGS%',
    };
    expect(line(format, fullContext(), true)).toBe('{"flags":"","list":["a"],"text":"[]"}\n');
    expect(line({ a: '%TRACE_ID%' }, fullContext(), true)).toBe('{}\n');
    // A list stays though it comes out empty, an object does not, wherever it stands.
    const nested: JsonObject = {
      objects: [{ none: '%TRACE_ID%' }, { code: '%RESPONSE_CODE%' }, {}],
      lists: [['%TRACE_ID%'], []],
      empty: {},
      deep: { list: [] },
      constants: [0, false, ''],
    };
    expect(line(nested, fullContext(), true)).toBe(
      '{"constants":[0,false,""],"deep":{"list":[]},"lists":[[],[]],"objects":[{"code":200}]}\n',
    );
    expect(line(nested, fullContext())).toBe(
      '{"constants":[0,false,""],"deep":{"list":[]},"empty":{},"lists":[[null],[]],"objects":[{"none":null},{"code":200},{}]}\n',
    );
  });

  it('makes strings of all values for the older json_format', () => {
    const message = jsonMessage({
      code: '%RESPONSE_CODE%',
      none: '%TRACE_ID%',
      n: 3,
      b: true,
      o: '%UPSTREAM_METADATA(envoy.lb)%',
    });
    const formatter = factory.fromConfig(message, { valuesAsText: true });
    expect(formatter.format(fullContext())).toBe(
      '{"b":"true","code":"200","n":"3","none":"-","o":"{\\"stage\\":\\"canary\\",\\"weight\\":3}"}\n',
    );
  });

  it('escapes what a peer may send', () => {
    const context = fullContext();
    const escaped = (value: string): string => {
      context.request?.set('x-custom', value);
      return line({ a: '%REQ(x-custom)%', b: '<%REQ(x-custom)%>' }, context);
    };
    expect(escaped('","admin":"yes')).toBe('{"a":"\\",\\"admin\\":\\"yes","b":"<\\",\\"admin\\":\\"yes>"}\n');
    expect(escaped('a\\\n\r\t\b\f\u0000\u001b\x7f')).toBe(
      '{"a":"a\\\\\\n\\r\\t\\b\\f\\u0000\\u001b\x7f","b":"<a\\\\\\n\\r\\t\\b\\f\\u0000\\u001b\x7f>"}\n',
    );
    // As in Envoy: UTF-8 stays, each stretch of anything else becomes U+FFFD.
    expect(escaped('\xc3\xa9')).toBe('{"a":"\xc3\xa9","b":"<\xc3\xa9>"}\n');
    expect(escaped('\xe9')).toBe('{"a":"\xef\xbf\xbd","b":"<\xef\xbf\xbd>"}\n');
    expect(escaped('\u2028')).toBe('{"a":"\xe2\x80\xa8","b":"<\xe2\x80\xa8>"}\n');
  });

  it('writes metadata as JSON, whatever it holds', () => {
    const context = emptyContext();
    context.info.dynamicMetadata.set('ns', {
      s: 'é"\n\u2028\x7f',
      n: Number.NaN,
      i: Number.POSITIVE_INFINITY,
      l: '\ud800',
    });
    expect(line({ m: '%DYNAMIC_METADATA(ns)%' }, context)).toBe(
      '{"m":{"i":null,"l":"\\ud800","n":null,"s":"\xc3\xa9\\"\\n\xe2\x80\xa8\x7f"}}\n',
    );
  });
});
