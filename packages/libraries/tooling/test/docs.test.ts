import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { SITES } from '../src/docs/sites.mjs';
import { fillBlocks, table } from '../src/docs/blocks.mjs';
import { changedLines, errorExamples, firstYaml } from '../src/docs/errors.mjs';
import { categoryOf, taggedExtensions } from '../src/docs/extensions.mjs';
import { FieldProbe, summarise } from '../src/docs/fields.mjs';
import { flagTable, ignoredFlagTable } from '../src/docs/flags.mjs';
import { loadSources } from '../src/docs/sources.mjs';
import { statSections } from '../src/docs/stats.mjs';

const root = join(import.meta.dirname, '..', '..', '..', '..');

describe('generated blocks', () => {
  test('are replaced, and nothing else', () => {
    const document = 'a\n<!-- generated: x -->\nold\n<!-- end -->\nb\n';
    const filled = fillBlocks(document, { x: 'new' });
    expect(filled).toBe('a\n<!-- generated: x -->\n\nnew\n\n<!-- end -->\nb\n');
    expect(fillBlocks(filled, { x: 'new' })).toBe(filled);
  });

  test('a text with $ in it is taken as it is', () => {
    expect(fillBlocks('<!-- generated: x -->\n<!-- end -->', { x: '$&$1' })).toContain('\n$&$1\n');
  });

  test('of an unknown name are an error', () => {
    expect(() => fillBlocks('<!-- generated: y -->\n<!-- end -->', {})).toThrow('"y"');
  });

  test('tables escape bars', () => {
    expect(table(['a'], [['x|y']])).toBe('| a |\n| --- |\n| x\\|y |');
  });
});

describe('extensions in protos', () => {
  test('are found with the message that configures them', () => {
    const proto = `package envoy.extensions.filters.http.a.v3;
// [#extension: envoy.filters.http.a]
message A {}
// [#extension: envoy.filters.http.b, envoy.filters.http.c]
message B {}`;
    expect(taggedExtensions(proto)).toEqual([
      { name: 'envoy.filters.http.a', typeName: 'envoy.extensions.filters.http.a.v3.A' },
      { name: 'envoy.filters.http.b', typeName: 'envoy.extensions.filters.http.a.v3.B' },
      { name: 'envoy.filters.http.c', typeName: 'envoy.extensions.filters.http.a.v3.B' },
    ]);
  });

  test.each([
    ['envoy.filters.http.cors', 'http-filters'],
    ['envoy.clusters.aggregate', 'discovery'],
    ['envoy.cluster.static', 'discovery'],
    ['envoy.tracers.opentelemetry.samplers.always_on', undefined],
    ['envoy.watchdog.profile_action', undefined],
  ])('%s belongs in %s', (name, category) => {
    expect(categoryOf(name)).toBe(category);
  });
});

test('flags and stats are listed from their tables', () => {
  const specs = [
    { name: 'config-path', short: 'c', value: 'path', help: 'the file', default: 'none' },
    { name: 'base-id', help: 'id', ignored: 'no hot restart' },
  ];
  expect(flagTable(specs)).toContain('| `-c, --config-path <path>` | `none` | the file |');
  expect(flagTable(specs)).not.toContain('base-id');
  expect(ignoredFlagTable(specs)).toContain('| `--base-id` | no hot restart |');
  const stats = [{ name: 'rq', kind: 'counter' as const }];
  expect(statSections([{ prefix: 'http.', condition: 'traffic', stats }])).toBe(
    '### `http.`\n\nThere once the first connection of its kind was made.\n\n- counters: `rq`',
  );
});

test('a field whose values fare differently names those that do not act', () => {
  const outcomes = [
    { verdict: 'supported', text: '', label: 'AUTO' },
    { verdict: 'refused', text: 'no', label: 'HTTP2' },
    { verdict: 'extension', text: '', label: 'EDS' },
  ];
  expect(summarise(outcomes)).toEqual({
    verdict: 'supported',
    text: 'refused: `HTTP2`; need an extension: `EDS`',
  });
  expect(summarise(outcomes.slice(1, 2))).toEqual({ verdict: 'refused', text: 'no' });
});

describe('trying', () => {
  let sources: Awaited<ReturnType<typeof loadSources>>;
  beforeAll(async () => {
    sources = await loadSources(root);
  });
  const site = (type: string) => {
    const found = SITES.find((one) => one.type?.endsWith(type));
    if (found?.type === undefined) throw new Error(`no site for ${type}`);
    return found as { type: string; path: string };
  };

  test('fields of the connection manager', async () => {
    const probe = new FieldProbe(sources);
    await probe.checkBaseline();
    const reports = await probe.message(site('.HttpConnectionManager'));
    const verdicts = new Map(reports.map(({ name, verdict }) => [name, verdict]));
    expect(verdicts.get('stat_prefix')).toBe('supported');
    expect(verdicts.get('rds')).toBe('refused');
    expect(verdicts.get('stream_flush_timeout')).toBe('no effect');
    expect(verdicts.get('local_reply_config')).toBe('supported');
    expect(verdicts.get('drain_timeout')).toBe('supported');
    expect(verdicts.get('original_ip_detection_extensions')).toBe('supported');
  });

  test('says which value would be needed when a trial fails elsewhere than at the field', async () => {
    const probe = new FieldProbe({ ...sources, extensions: sources.extensions.slice(1) });
    await expect(probe.checkBaseline()).rejects.toThrow('the baseline is refused');
  });

  test('a config with one mistake gives its error; one without is no example', async () => {
    const yaml = 'static_resources:\n  clusters:\n    - { name: service, type: STRICT_DNS }\n';
    await expect(errorExamples(sources, yaml)).rejects.toThrow('is not in the config');
  });
});

test('the lines of a change, moved to the left', () => {
  expect(changedLines('a:\n  b: 1\n', 'a:\n  c: 1\n    d: 2\n')).toBe('c: 1\n  d: 2');
  expect(firstYaml('x\n```yaml\na: 1\n```\n```yaml\nb: 1\n```\n')).toBe('a: 1\n');
});
