import { createFormatterFactory } from '@dragoman/access-log';
import {
  AllHeadersSchema,
  anyPack,
  create,
  type MessageInitShape,
  resolveExtension,
  type AllHeadersSchema as Schema,
  SubstitutionFormatStringSchema,
} from '@dragoman/api';
import { ConfigError, ExtensionRegistry, type LogContext } from '@dragoman/core';
import { logContext, requestHeaders, responseHeaders, testContext } from '@dragoman/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allHeadersFormatter } from '../src/index.ts';

const registry = new ExtensionRegistry([allHeadersFormatter]);
const factory = createFormatterFactory({
  createCommand(config) {
    const { extension, message } = resolveExtension(registry, 'formatters', config.name, config.typedConfig);
    return extension.create(message, testContext());
  },
});

type Format = NonNullable<MessageInitShape<typeof SubstitutionFormatStringSchema>['format']>;
type Config = MessageInitShape<typeof Schema>;

function formatter(value: Format, config: Config = {}) {
  const typedConfig = anyPack(AllHeadersSchema, create(AllHeadersSchema, config));
  const formatters = [{ name: 'envoy.formatter.all_headers', typedConfig }];
  return factory.fromConfig(create(SubstitutionFormatStringSchema, { format: value, formatters }));
}

const utf8 = (bytes: string): string => Buffer.from(bytes, 'latin1').toString('utf8');

function object(operator: string, context: LogContext, config?: Config): unknown {
  const line = utf8(formatter({ case: 'jsonFormat', value: { all: operator } }, config).format(context));
  const text = utf8(formatter({ case: 'textFormat', value: operator }, config).format(context));
  const { all } = JSON.parse(line) as { all: unknown };
  if (all === null) expect(text).toBe('-');
  else expect(JSON.parse(text)).toEqual(all);
  return all;
}

function context(): LogContext {
  const request = requestHeaders({
    ':method': 'GET',
    ':path': '/a',
    ':authority': 'host',
    ':scheme': 'http',
  });
  for (const name of [...request.names]) request.remove(name);
  request.append('cookie', 'secret=1');
  request.append('x-b', 'one');
  request.append('x-a', '\xc3\xa9"\\');
  request.append('x-b', 'two words');
  request.append('x-raw', '\xff');
  request.append('__proto__', 'p');
  const response = responseHeaders({ ':status': '200' });
  for (const name of [...response.names]) response.remove(name);
  response.append('set-cookie', 'a=1');
  return logContext({ request, response });
}

const ALL = {
  ':authority': 'host',
  ':method': 'GET',
  ':path': '/a',
  ':scheme': 'http',
  'x-a': 'é"\\',
  'x-b': 'one,two words',
  'x-raw': '\ufffd',
};

describe('all headers', () => {
  it.each<[what: string, operator: string, config: Config, expected: Record<string, string>]>([
    ['request', '%REQ_ALL_HEADERS%', {}, { ...ALL, cookie: 'secret=1' }],
    ['response', '%RESP_ALL_HEADERS%', {}, { ':status': '200', 'set-cookie': 'a=1' }],
    ['excluded ones', '%REQ_ALL_HEADERS%', { excludeHeaders: ['Cookie', 'x-none'] }, ALL],
    [
      'an excluded pseudo-header',
      '%RESP_ALL_HEADERS%',
      { excludeHeaders: [':status'] },
      { 'set-cookie': 'a=1' },
    ],
    [
      'values cut by bytes, line by line',
      '%REQ_ALL_HEADERS%',
      { maxValueBytes: 3, excludeHeaders: ['cookie', ':authority', ':scheme'] },
      { ':method': 'GET', ':path': '/a', 'x-a': 'é"', 'x-b': 'one,two', 'x-raw': '\ufffd' },
    ],
  ])('of a request and its response: %s', (_what, operator, config, expected) => {
    const found = object(operator, context(), config) as Record<string, string>;
    const request = operator === '%REQ_ALL_HEADERS%';
    const names = [...Object.keys(expected), ...(request ? ['__proto__'] : [])];
    expect(Object.keys(found).sort()).toEqual(names.sort());
    for (const [name, value] of Object.entries(expected)) expect(found[name], name).toBe(value);
    if (request) expect(Object.getOwnPropertyDescriptor(found, '__proto__')?.value).toBe('p');
  });

  it('have no value where there are no headers, and are empty where nothing is left', () => {
    const nothing = { ...logContext(), request: undefined, response: undefined };
    expect(object('%REQ_ALL_HEADERS%', nothing)).toBeNull();
    expect(object('%RESP_ALL_HEADERS%', nothing)).toBeNull();
    const config = { excludeHeaders: [':status', 'set-cookie'] };
    expect(object('%RESP_ALL_HEADERS%', context(), config)).toEqual({});
  });

  it.each([
    ['%REQ_ALL_HEADERS(x)%', 'text_format: %REQ_ALL_HEADERS% takes no parameter'],
    ['%RESP_ALL_HEADERS:3%', 'text_format: %RESP_ALL_HEADERS% takes no length'],
  ])('%s is refused', (value, message) => {
    expect(() => formatter({ case: 'textFormat', value })).toThrow(ConfigError);
    expect(() => formatter({ case: 'textFormat', value })).toThrow(message);
  });

  it('leave other operators alone', () => {
    expect(formatter({ case: 'textFormat', value: '%RESPONSE_CODE%' }).format(context())).toBe('0');
    expect(() => factory.text('%REQ_ALL_HEADERS%')).toThrow('envoy.formatter.all_headers');
  });

  it('stay on one line, whatever a peer sends', () => {
    const operators = '%REQ_ALL_HEADERS% %RESP_ALL_HEADERS%';
    const text = formatter({ case: 'textFormat', value: `${operators}\n` });
    const json = formatter({ case: 'jsonFormat', value: { a: operators, b: '%REQ_ALL_HEADERS%' } });
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (value) => {
        const entry = context();
        entry.request?.append('x-c', value);
        entry.response?.append('x-c', value);
        for (const one of [text, json]) {
          const line = one.format(entry);
          expect(line).toMatch(/^[\x09\x20-\xff]*\n$/);
        }
        JSON.parse(utf8(json.format(entry)));
      }),
    );
  });
});
