import { createFormatterFactory } from '@dragoman/access-log';
import {
  anyPack,
  create,
  FormatterMetadataSchema,
  type MessageInitShape,
  resolveExtension,
  SubstitutionFormatStringSchema,
} from '@dragoman/api';
import { ExtensionRegistry, type LogContext, StreamInfo } from '@dragoman/core';
import { connectionInfo, logContext, testContext } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { metadataFormatter } from '../src/index.ts';

const registry = new ExtensionRegistry([metadataFormatter]);
const factory = createFormatterFactory({
  createCommand(config) {
    const { extension, message } = resolveExtension(registry, 'formatters', config.name, config.typedConfig);
    return extension.create(message, testContext());
  },
});

type Format = NonNullable<MessageInitShape<typeof SubstitutionFormatStringSchema>['format']>;

function format(value: Format, context: LogContext, typed = true): string {
  const entry = {
    name: 'envoy.formatter.metadata',
    ...(typed && { typedConfig: anyPack(FormatterMetadataSchema, create(FormatterMetadataSchema)) }),
  };
  const config = create(SubstitutionFormatStringSchema, { format: value, formatters: [entry] });
  return factory.fromConfig(config).format(context);
}

/** Every part of the config says its own name, and the requests what a peer may write. */
function context(): LogContext {
  const of = (value: string) => new Map([['ns', { from: value, nested: { deep: [1, value] } }]]);
  const filterChain = { name: '', metadata: of('chain'), listenerMetadata: of('listener') };
  const info = new StreamInfo({ ...connectionInfo(), filterChain }, 0, 0);
  info.dynamicMetadata.set('ns', { from: 'dynamic "é"\n' });
  info.route = {
    routeName: '',
    virtualHostName: '',
    metadata: of('route'),
    virtualHostMetadata: of('host'),
  };
  info.upstreamClusterInfo = { metadata: of('cluster') } as never;
  info.upstreamHost = { metadata: of('endpoint') } as never;
  return logContext({ info });
}

describe('%METADATA% of a format that lists the extension', () => {
  it.each([
    ['DYNAMIC:ns:from', 'dynamic "\xc3\xa9"\\n', 'dynamic "é"\n'],
    ['CLUSTER:ns:from', 'cluster', 'cluster'],
    ['ROUTE:ns:from', 'route', 'route'],
    ['VIRTUAL_HOST:ns:from', 'host', 'host'],
    ['UPSTREAM_HOST:ns:from', 'endpoint', 'endpoint'],
    ['LISTENER:ns:from', 'listener', 'listener'],
    ['LISTENER_FILTER_CHAIN:ns:from', 'chain', 'chain'],
    ['ROUTE:ns:nested:deep', '[1,"route"]', [1, 'route']],
    ['ROUTE:ns:nested', '{"deep":[1,"route"]}', { deep: [1, 'route'] }],
    ['ROUTE:ns:none', '-', null],
    ['ROUTE:none', '-', null],
  ])('%s', (parameter, text, typed) => {
    const operator = `%METADATA(${parameter})%`;
    expect(format({ case: 'textFormat', value: operator }, context())).toBe(text);
    const line = format({ case: 'jsonFormat', value: { a: operator } }, context());
    expect(JSON.parse(Buffer.from(line, 'latin1').toString('utf8'))).toEqual({ a: typed });
  });

  it('has no value where nothing is known', () => {
    for (const type of ['DYNAMIC', 'CLUSTER', 'ROUTE', 'VIRTUAL_HOST', 'UPSTREAM_HOST', 'LISTENER']) {
      expect(format({ case: 'textFormat', value: `%METADATA(${type}:ns)%` }, logContext())).toBe('-');
    }
  });

  it('needs no typed config, and leaves other operators alone', () => {
    const value = '%METADATA(ROUTE:ns:from):2% %RESPONSE_CODE%';
    expect(format({ case: 'textFormat', value }, context(), false)).toBe('ro 0');
    expect(() => format({ case: 'textFormat', value: '%METADATA(X:ns)%' }, context())).toThrow(
      'text_format: %METADATA%: "X" is not a type of metadata',
    );
  });
});
