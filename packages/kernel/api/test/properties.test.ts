import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '@dragoman/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  BootstrapSchema,
  formatPath,
  fromBinary,
  loadConfig,
  parsePath,
  type PathStep,
  toBinary,
} from '../src/index.ts';

const onlyConfigErrors = (read: () => unknown) => {
  try {
    read();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    expect(error.problems.length).toBeGreaterThan(0);
  }
};

const words = fc.constantFrom(
  ...'node static_resources clusters listeners name id metadata typed_config "@type" type.googleapis.com/envoy.config.cluster.v3.Cluster connect_timeout 1s : - { } [ ] < > , " \' \n # & * ! | > %'.split(
    ' ',
  ),
  '\n  ',
  '\n    ',
  ': ',
  '- ',
  '\t',
  '__proto__',
  'constructor',
  '0x',
  '\\',
  '\u0000',
);
const texts = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc.array(words, { maxLength: 60 }).map((list) => list.join('')),
);

describe('the loader', () => {
  it.each(['yaml', 'json', 'pb_text'] as const)('throws nothing but ConfigError on any %s', (format) => {
    fc.assert(
      fc.property(texts, (text) => onlyConfigErrors(() => loadConfig({ text, format }))),
      { numRuns: 500 },
    );
  });

  it('throws nothing but ConfigError on any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) =>
        onlyConfigErrors(() => loadConfig({ bytes, format: 'pb' })),
      ),
      { numRuns: 500 },
    );
  });

  it('throws nothing but ConfigError on any JSON value, in any place', () => {
    const names = [
      'node',
      'static_resources',
      'clusters',
      'name',
      'connect_timeout',
      'metadata',
      'admin',
      '@type',
      'load_assignment',
      'typed_extension_protocol_options',
      '__proto__',
      'lb_policy',
    ];
    const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
      tree: fc.oneof(
        { maxDepth: 6 },
        fc.constantFrom(
          null,
          true,
          0,
          -1,
          1.5,
          1e300,
          'x',
          '1s',
          'random',
          '',
          'type.googleapis.com/google.protobuf.Any',
          'type.googleapis.com/google.protobuf.Struct',
        ),
        fc.array(tie('tree'), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom(...names), tie('tree'), { maxKeys: 5 }),
      ),
    }));
    fc.assert(
      fc.property(tree, (value) =>
        onlyConfigErrors(() => loadConfig({ text: JSON.stringify(value), format: 'json' })),
      ),
      { numRuns: 1_000 },
    );
  });

  it('gives messages that survive a trip through bytes', () => {
    const value = fc.letrec<{ json: unknown }>((tie) => ({
      json: fc.oneof(
        { maxDepth: 4 },
        fc.constant(null),
        fc.boolean(),
        fc.string(),
        fc.integer(),
        fc.array(tie('json'), { maxLength: 4 }),
        fc.dictionary(fc.string(), tie('json'), { maxKeys: 4 }),
      ),
    })).json;
    fc.assert(
      fc.property(fc.dictionary(fc.string(), value), (metadata) => {
        const { message } = loadConfig({ text: JSON.stringify({ node: { metadata } }), format: 'json' });
        const back = fromBinary(BootstrapSchema, toBinary(BootstrapSchema, message));
        expect(JSON.parse(JSON.stringify(back.node?.metadata ?? {}))).toEqual(
          JSON.parse(JSON.stringify(metadata)),
        );
      }),
      { numRuns: 200 },
    );
  });
});

describe('paths', () => {
  it('are read back as they were written', () => {
    const step = fc.oneof(
      fc.stringMatching(/^[a-z_@][a-z0-9_]{0,8}$/),
      fc.nat(1000),
      fc.record({ key: fc.string() }),
    );
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        expect(parsePath(formatPath(steps as PathStep[]))).toEqual(steps);
      }),
    );
  });
});

describe('configs that people run', () => {
  const folder = join(import.meta.dirname, '../../../../../shared/conformance/envoy-configs');
  const there = existsSync(folder);
  /** Types that come with Envoy's contrib build: not in the published API that we generate from. */
  const CONTRIB: Record<string, string> = {
    'kafka-envoy.yaml': 'envoy.extensions.filters.network.kafka_broker.v3.KafkaBroker',
    'mysql-envoy.yaml': 'envoy.extensions.filters.network.mysql_proxy.v3.MySQLProxy',
    'postgres-envoy.yaml': 'envoy.extensions.filters.network.postgres_proxy.v3alpha.PostgresProxy',
  };

  it('are there', (context) => {
    if (!there && process.env['CI'] !== 'true') context.skip(`${folder} is not there: nothing to load`);
    expect(there).toBe(true);
  });

  it.runIf(there).each(there ? readdirSync(folder).filter((name) => name.endsWith('.yaml')) : [])(
    '%s',
    (name) => {
      const load = () => loadConfig({ file: join(folder, name) });
      const missing = CONTRIB[name];
      if (missing === undefined) {
        expect(load().message.staticResources ?? load().message.dynamicResources).toBeDefined();
        return;
      }
      expect(load).toThrow(ConfigError);
      try {
        load();
      } catch (error) {
        for (const problem of (error as ConfigError).problems)
          expect(problem.message).toContain(`unknown type ${missing}`);
      }
    },
  );
});
