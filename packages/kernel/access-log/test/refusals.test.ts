import {
  create,
  type DataSource,
  type MessageInitShape,
  SubstitutionFormatStringSchema,
} from '@dragoman/api';
import { ConfigError, type FormatterCommand } from '@dragoman/core';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { createFormatterFactory } from '../src/index.ts';
import { fullContext, jsonMessage } from './fixtures.ts';

const folder = mkdtempSync(join(tmpdir(), 'access-log-'));
afterAll(() => rmSync(folder, { recursive: true }));

const factory = createFormatterFactory({ env: { FORMAT: 'v:%PROTOCOL%\n' } });

describe('refused formats', () => {
  it.each([
    ['%NOPE%', 'unknown operator %NOPE%'],
    ['%RESPONSE_CODES%', 'unknown operator %RESPONSE_CODES%; did you mean "%RESPONSE_CODE%"?'],
    ['a %PROTOCL% b', 'unknown operator %PROTOCL%; did you mean "%PROTOCOL%"?'],
    ['%constructor%', 'no operator can be read at position 0'],
    ['%METADATA%', '%METADATA% needs a parameter'],
    ['%METADATA(ROUTE)%', '%METADATA%: expected TYPE:NAMESPACE, got "ROUTE"'],
    ['%METADATA(ROUTES:a)%', '"ROUTES" is not a type of metadata; did you mean "ROUTE"?'],
    ['%METADATA(constructor:a)%', '"constructor" is not a type of metadata'],
    ['%REQ_WITHOUT_QUERY%', '%REQ_WITHOUT_QUERY% needs a parameter'],
    ['%REQ_WITHOUT_QUERY(a?b?c)%', 'more than one alternative header'],
    ['%CEL(a)%', 'envoy.formatter.cel'],
    ['abc %PROTOCOL', 'no operator can be read at position 4 ("%PROTOCOL")'],
    ['100%', 'no operator can be read at position 3'],
    ['%protocol%', 'no operator can be read at position 0'],
    ['%REQ(a%', 'no operator can be read at position 0'],
    ['%REQ(a):x%', 'no operator can be read at position 0'],
    ['%REQ(a):-1%', 'no operator can be read at position 0'],
    ['%REQ%', '%REQ% needs a parameter'],
    ['%REQ()%', '%REQ% needs a parameter'],
    ['%REQ(a?b?c)%', '%REQ%: more than one alternative header in "a?b?c"'],
    ['%REQ(a b)%', '%REQ%: "a b" is not a header name'],
    ['%REQ(?a)%', '%REQ%: "" is not a header name'],
    ['%RESP(a\u00e9)%', '%RESP%: "a\u00e9" is not a header name'],
    ['%PROTOCOL(x)%', '%PROTOCOL% takes no parameter'],
    ['%PROTOCOL:3%', '%PROTOCOL% takes no length'],
    ['%START_TIME(%Y):3%', '%START_TIME% takes no length'],
    ['%START_TIME(%n)%', '%START_TIME%: "%n" would write a newline (%n)'],
    ['%START_TIME(%-En)%', 'would write a newline'],
    ['%START_TIME(%Q)%', '%START_TIME%: "%Q" has an unknown conversion %Q'],
    ['%COMMON_DURATION(DS_RX_BEG)%', 'expected START:END or START:END:PRECISION'],
    [
      '%COMMON_DURATION(DS_RX_BEG:DS_RX_ENDE)%',
      '"DS_RX_ENDE" is not a point in time; did you mean "DS_RX_END"?',
    ],
    ['%COMMON_DURATION(DS_RX_BEG:DS_RX_END:s)%', '"s" is not a precision'],
    ['%COMMON_DURATION(a:b:c:d)%', 'expected START:END'],
    ['%PATH(X)%', '%PATH%: "X" is not a form of the path'],
    ['%PATH(WQ:X)%', '%PATH%: "X" is not a source of the path'],
    ['%QUERY_PARAMS(X)%', '"X" is not a form of the query'],
    ['%REQUESTED_SERVER_NAME(X)%', 'is not SNI_ONLY, SNI_FIRST or HOST_FIRST'],
    ['%REQUESTED_SERVER_NAME(SNI_FIRST:X)%', '"X" is not a source of the host'],
    ['%RESPONSE_CODE_DETAILS(X)%', '"X" is not ALLOW_WHITESPACES'],
    ['%GRPC_STATUS(X)%', '"X" is not CAMEL_STRING, SNAKE_STRING or NUMBER'],
    ['%UPSTREAM_METADATA(["a"])%', '["a"] is not a JSON list of a namespace and at least one key'],
    ['%UPSTREAM_METADATA(["a", 1])%', 'is not a JSON list'],
    ['%UPSTREAM_METADATA([a, b])%', 'is not a JSON list'],
    ['%FILTER_STATE%', '%FILTER_STATE% needs a parameter'],
    ['%FILTER_STATE(:PLAIN)%', 'must not be empty'],
    ['%FILTER_STATE(a:X)%', '"X" is not a form of filter state'],
    ['%FILTER_STATE(a:FIELD)%', 'a field name goes with FIELD'],
    ['%FILTER_STATE(a:PLAIN:b)%', 'a field name goes with FIELD'],
    ['%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT(129)%', '"129" is not a prefix length'],
    ['%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT(x)%', '"x" is not a prefix length'],
    ['%COALESCE(x)%', 'its parameter is not JSON'],
    ['%COALESCE({})%', 'needs a list "operators"'],
    ['%COALESCE({"operators":[1]})%', 'operators[0] is neither a name nor an object'],
    ['%COALESCE({"operators":[{"param":"a"}]})%', 'operators[0] needs a command'],
    ['%COALESCE({"operators":[{"command":"REQ","params":"a"}]})%', 'unknown field "params"'],
    ['%COALESCE({"operators":[{"command":"REQ","param":1}]})%', 'operators[0].param is not a string'],
    [
      '%COALESCE({"operators":[{"command":"REQ","param":"a","max_length":0}]})%',
      'max_length is not a positive',
    ],
    ['%COALESCE({"operators":["NOPE"]})%', 'unknown operator %NOPE%'],
  ])('%s', (format, message) => {
    expect(() => factory.text(format)).toThrow(ConfigError);
    expect(() => factory.text(format)).toThrow(message);
  });
});

describe('fromConfig', () => {
  const message = (init: MessageInitShape<typeof SubstitutionFormatStringSchema>) =>
    create(SubstitutionFormatStringSchema, init);
  const source = (specifier: DataSource['specifier']) =>
    message({ format: { case: 'textFormatSource', value: { specifier } } });

  it('reads a text format wherever it stands', () => {
    const path = join(folder, 'format.txt');
    writeFileSync(path, 'f:%PROTOCOL%\n');
    const configs: [ReturnType<typeof message>, string][] = [
      [message({ format: { case: 'textFormat', value: 't:%PROTOCOL%' } }), 't:HTTP/1.1'],
      [source({ case: 'inlineString', value: 's:%PROTOCOL%' }), 's:HTTP/1.1'],
      [source({ case: 'inlineBytes', value: Buffer.from('é:%PROTOCOL%') }), '\xc3\xa9:HTTP/1.1'],
      [source({ case: 'filename', value: path }), 'f:HTTP/1.1\n'],
      [source({ case: 'environmentVariable', value: 'FORMAT' }), 'v:HTTP/1.1\n'],
      [message({ format: { case: 'textFormat', value: '' } }), ''],
    ];
    for (const [config, expected] of configs)
      expect(factory.fromConfig(config).format(fullContext())).toBe(expected);
  });

  it('leaves out empty values when the config says so', () => {
    const config = message({ format: { case: 'textFormat', value: '[%TRACE_ID%]' }, omitEmptyValues: true });
    expect(factory.fromConfig(config).format(fullContext())).toBe('[]');
  });

  it.each<[string, () => unknown, string]>([
    ['nothing', () => message({}), 'needs one of text_format_source'],
    ['no message', () => ({}), 'is not a SubstitutionFormatString'],
    [
      'a missing file',
      () => source({ case: 'filename', value: join(folder, 'none') }),
      'text_format_source.filename: cannot read',
    ],
    ['a missing variable', () => source({ case: 'environmentVariable', value: 'NONE' }), '"NONE" is not set'],
    ['an empty source', () => source({ case: undefined }), 'text_format_source: needs one of'],
    [
      'watching',
      () =>
        message({
          format: {
            case: 'textFormatSource',
            value: { specifier: { case: 'inlineString', value: '' }, watchedDirectory: { path: '/' } },
          },
        }),
      'text_format_source.watched_directory: ',
    ],
    [
      'an unknown operator',
      () => source({ case: 'inlineString', value: '%X%' }),
      'text_format_source: unknown operator %X%',
    ],
    ['one in JSON', () => jsonMessage({ a: [{ b: '%X%' }] }), 'json_format.a[0].b: unknown operator %X%'],
    [
      'an extension',
      () =>
        message({ format: { case: 'textFormat', value: '' }, formatters: [{ name: 'envoy.formatter.cel' }] }),
      'formatters[0]: the formatter extension "envoy.formatter.cel" is not part of this proxy',
    ],
  ])('refuses %s', (_name, config, text) => {
    expect(() => factory.fromConfig(config())).toThrow(ConfigError);
    expect(() => factory.fromConfig(config())).toThrow(text);
  });

  it('takes operators of extensions, before its own', () => {
    const shout: FormatterCommand = {
      parse: (command, subcommand, maxLength) =>
        command === 'SHOUT' || command === 'PROTOCOL'
          ? {
              text: () => `${subcommand}é\n${maxLength}`,
              value: () => ({ loud: [subcommand ?? null, maxLength ?? null] }),
            }
          : undefined,
    };
    expect(
      factory.text('%SHOUT(a):2% %PROTOCOL% %RESPONSE_CODE%', { commands: [shout] }).format(fullContext()),
    ).toBe('a\xc3\xa9\\n2 undefined\xc3\xa9\\nundefined 200');
    const withExtensions = createFormatterFactory({ createCommand: () => shout });
    const config = message({
      format: { case: 'jsonFormat', value: { a: '%SHOUT(x)%' } },
      formatters: [{ name: 'shout' }],
    });
    expect(withExtensions.fromConfig(config).format(fullContext())).toBe('{"a":{"loud":["x",null]}}\n');
  });
});
