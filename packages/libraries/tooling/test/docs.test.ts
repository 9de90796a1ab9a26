import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { baseline } from '../src/docs/baseline.mjs';
import { fillBlocks, table } from '../src/docs/blocks.mjs';
import { changedLines, errorExamples, firstYaml } from '../src/docs/errors.mjs';
import { categoryOf, extensionTables, taggedExtensions } from '../src/docs/extensions.mjs';
import { judged } from '../src/docs/field-tables.mjs';
import { EXCLUDES, FIELDS, NEEDS } from '../src/docs/field-values.mjs';
import { FieldProbe, summarise } from '../src/docs/fields.mjs';
import { flagTable, ignoredFlagTable } from '../src/docs/flags.mjs';
import { makeMaterial, withMaterial } from '../src/docs/material.mjs';
import { packagesWithSources } from '../src/docs/packages.mjs';
import { SITES } from '../src/docs/sites.mjs';
import { loadSources } from '../src/docs/sources.mjs';
import { statSections } from '../src/docs/stats.mjs';
import { fieldKey } from '../src/docs/values.mjs';

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

describe('notes', () => {
  const told = (key: string, verdict: string, text = '') => {
    const unused = new Set([key]);
    return { ...judged(key, { verdict, text }, unused), unused: [...unused] };
  };

  test('make a field that is accepted one without effect', () => {
    expect(told('Secret.generic_secret', 'supported')).toMatchObject({ verdict: 'no effect', unused: [] });
  });

  test('add to fields that act', () => {
    const { note, unused } = told('TlsParameters.ecdh_curves', 'supported');
    expect([note, unused]).toEqual([expect.stringContaining('X25519'), []]);
  });

  test('on fields that are refused stay unused, which is an error', () => {
    expect(told('TlsParameters.ecdh_curves', 'refused')).toEqual({ unused: ['TlsParameters.ecdh_curves'] });
  });
});

test('sites of one message in two places have names of their own', () => {
  const type = 'envoy.config.core.v3.Http2ProtocolOptions';
  expect(fieldKey({ type }, 'allow_connect')).toBe('Http2ProtocolOptions.allow_connect');
  expect(fieldKey({ type, as: 'UpstreamHttp2' }, 'allow_connect')).toBe('UpstreamHttp2.allow_connect');
  const keys = SITES.flatMap((site) => (site.type === undefined ? [] : [fieldKey(site, '')]));
  expect(new Set(keys).size).toBe(keys.length);
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
    expect(verdicts.get('rds')).toBe('supported');
    expect(verdicts.get('tracing')).toBe('refused');
    expect(verdicts.get('stream_flush_timeout')).toBe('supported');
    expect(verdicts.get('local_reply_config')).toBe('supported');
    expect(verdicts.get('drain_timeout')).toBe('supported');
    expect(verdicts.get('original_ip_detection_extensions')).toBe('supported');
  });

  test.each([
    [
      'DownstreamTlsContext',
      { common_tls_context: 'supported', require_sni: 'supported', session_ticket_keys: 'supported' },
    ],
    ['TlsCertificate', { pkcs12: 'supported', password: 'supported', private_key_provider: 'refused' }],
    [
      'CertificateValidationContext',
      {
        crl: 'supported',
        custom_validator_config: 'supported',
        require_signed_certificate_timestamp: 'refused',
      },
    ],
    ['AutoHttpConfig', { http2_protocol_options: 'supported', http3_protocol_options: 'refused' }],
    ['GrpcJsonTranscoder', { services: 'supported', max_request_body_size: 'supported' }],
  ])('fields of a %s', async (type, expected) => {
    const reports = await new FieldProbe(sources).message(site(`.${type}`));
    const verdicts = Object.fromEntries(reports.map(({ name, verdict }) => [name, verdict]));
    expect(verdicts).toMatchObject(expected);
  });

  test('every value is for a field that is tried', () => {
    const tried = new Set(
      SITES.flatMap((one) => {
        if (one.type === undefined) return [];
        const { fields } = sources.api.messageType(one.type);
        return fields.map(({ name }: { name: string }) => fieldKey(one, name));
      }),
    );
    const keys = [FIELDS, EXCLUDES, NEEDS].flatMap((table) => Object.keys(table));
    // A key may be for one value of a field.
    expect(keys.filter((key) => !tried.has(key.replace(/=.*/, '')))).toEqual([]);
  });

  test('certificates stand in a config under names, and are made anew', () => {
    const [first, second] = [makeMaterial(sources), makeMaterial(sources)];
    const config = JSON.stringify(withMaterial(baseline(), first));
    expect(config).toContain('BEGIN CERTIFICATE');
    for (const [name, text] of first) {
      expect(config).not.toContain(JSON.stringify(name));
      if (name !== '<descriptors>') expect(second.get(name)).not.toBe(text);
    }
  });

  test('extensions of the kernel, and those that others read by themselves, have their packages', () => {
    const tables = extensionTables(root, sources, packagesWithSources(root));
    const row = (name: string) =>
      new RegExp(`\\| \`${name}\` \\| (.*) \\|`).exec(tables)?.[1]?.replaceAll(/ +/g, ' ');
    expect(row('envoy.filters.http.upstream_codec')).toBe('**supported** | `@dragoman/http`');
    expect(row('envoy.tls.cert_validator.spiffe')).toBe('**supported** | `@dragoman/transport-socket-tls`');
    expect(row('envoy.filters.http.cors')).toBe('not yet | would be `@dragoman/http-filter-cors`');
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
