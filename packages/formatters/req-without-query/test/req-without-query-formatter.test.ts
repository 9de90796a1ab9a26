import { createFormatterFactory } from '@dragoman/access-log';
import {
  anyPack,
  create,
  type MessageInitShape,
  ReqWithoutQuerySchema,
  resolveExtension,
  SubstitutionFormatStringSchema,
} from '@dragoman/api';
import { ExtensionRegistry } from '@dragoman/core';
import { logContext, requestHeaders, testContext } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { reqWithoutQueryFormatter } from '../src/index.ts';

const registry = new ExtensionRegistry([reqWithoutQueryFormatter]);
const factory = createFormatterFactory({
  createCommand(config) {
    const { extension, message } = resolveExtension(registry, 'formatters', config.name, config.typedConfig);
    return extension.create(message, testContext());
  },
});

type Format = NonNullable<MessageInitShape<typeof SubstitutionFormatStringSchema>['format']>;

const headers = {
  ':path': '/new?a=1',
  'x-envoy-original-path': '/old?b=2?c',
  'x-bytes': '/\xe9?q',
  'x-plain': 'no query',
  'x-empty': '?q',
};

function format(value: Format, request: Record<string, string> | undefined = headers, typed = true): string {
  const entry = {
    name: 'envoy.formatter.req_without_query',
    ...(typed && { typedConfig: anyPack(ReqWithoutQuerySchema, create(ReqWithoutQuerySchema)) }),
  };
  const config = create(SubstitutionFormatStringSchema, { format: value, formatters: [entry] });
  return factory.fromConfig(config).format(logContext({ request: requestHeaders(request) }));
}

describe('%REQ_WITHOUT_QUERY% of a format that lists the extension', () => {
  it.each([
    [':PATH', '/new', '/new'],
    ['X-ENVOY-ORIGINAL-PATH?:PATH', '/old', '/old'],
    ['x-none?:path', '/new', '/new'],
    ['x-bytes', '/\xe9', '/\ufffd'],
    ['x-plain', 'no query', 'no query'],
    ['x-empty', '', ''],
    ['x-none', '-', null],
    ['x-none?x-none-either', '-', null],
  ])('%s', (parameter, text, typed) => {
    const operator = `%REQ_WITHOUT_QUERY(${parameter})%`;
    expect(format({ case: 'textFormat', value: operator })).toBe(text);
    const line = format({ case: 'jsonFormat', value: { a: operator } });
    expect(JSON.parse(Buffer.from(line, 'latin1').toString('utf8'))).toEqual({ a: typed });
  });

  it('needs no typed config, and leaves other operators alone', () => {
    const value = '%REQ_WITHOUT_QUERY(:PATH):3% %REQ(:PATH)%';
    expect(format({ case: 'textFormat', value }, headers, false)).toBe('/ne /new?a=1');
    expect(() => format({ case: 'textFormat', value: '%REQ_WITHOUT_QUERY(a?b?c)%' })).toThrow(
      'text_format: %REQ_WITHOUT_QUERY%: more than one alternative header',
    );
  });
});
