import {
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import {
  create,
  fromJson,
  type JsonValue,
  LayeredRuntimeSchema,
  registry,
  ServiceRuntimeSchema,
} from '@dragoman/api';
import { type ConfigError, noSubscriptions, systemClock } from '@dragoman/core';
import { eventually, FakeSubscriptions, MemoryStats, RecordingLoggers } from '@dragoman/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RuntimeLayers } from '../src/index.ts';

let root: string;
let stats: MemoryStats;
let loggers: RecordingLoggers;
let changes: Record<string, string>[];
const open: RuntimeLayers[] = [];

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'dragoman-runtime-')));
  stats = new MemoryStats();
  loggers = new RecordingLoggers();
  changes = [];
});

afterEach(() => {
  for (const runtime of open.splice(0)) runtime.stop();
  rmSync(root, { recursive: true, force: true });
});

function make(layers: JsonValue[], serviceCluster = ''): RuntimeLayers {
  const config = fromJson(LayeredRuntimeSchema, { layers }, { registry });
  const runtime = new RuntimeLayers(config, stats, { serviceCluster, logger: loggers.logger('runtime') });
  open.push(runtime);
  return runtime;
}

function start(runtime: RuntimeLayers, subscriptions = noSubscriptions): Promise<void> {
  return runtime.start({
    clock: systemClock,
    subscriptions,
    settleMs: 5,
    onChange: (values) => changes.push(Object.fromEntries(values)),
  });
}

function write(path: string, content: string): void {
  const full = join(root, path);
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(full, content);
}

const valuesOf = (runtime: RuntimeLayers) => Object.fromEntries(runtime.values);
const stat = (name: string) => stats.value(`runtime.${name}`);
const disk = (more: JsonValue & object = {}, name = 'disk'): JsonValue => ({
  name,
  disk_layer: { symlink_root: join(root, 'current'), ...more },
});

describe('a disk layer', () => {
  it('makes keys of paths and values of what is in the files', () => {
    write('current/health_check/min_interval', '5\n');
    write('current/a', '# a comment\n  kept \n\nsecond line  \n# another\n');
    write('current/empty', '# nothing yet\n');
    write('current/f', 'numerator: 1\ndenominator: MILLION\n');
    write('current/..2024/hidden', '1');
    expect(valuesOf(make([disk()]))).toEqual({
      a: '  kept \nsecond line',
      empty: '',
      f: 'numerator: 1\ndenominator: MILLION',
      'health_check.min_interval': '5',
    });
    expect([stat('num_keys'), stat('num_layers'), stat('load_success')]).toEqual([4, 1, 1]);
    expect(stat('override_dir_not_exists')).toBe(1);
  });

  it('reads a subdirectory, and that of the service cluster above it', () => {
    write('current/envoy/a', '1');
    write('current/envoy/b', '1');
    write('current/envoy_override/web/b', '2');
    const layers = [
      disk({ subdirectory: 'envoy' }),
      disk({ subdirectory: 'envoy_override', append_service_cluster: true }, 'override'),
    ];
    const runtime = make(layers, 'web');
    expect(valuesOf(runtime)).toEqual({ a: '1', b: '2' });
    expect(runtime.layers.map(({ name }) => name)).toEqual(['disk', 'override']);
    expect(stat('override_dir_exists')).toBe(1);
    stats = new MemoryStats();
    const other = make(layers, 'other');
    expect(other.layers.map(({ name }) => name)).toEqual(['disk']);
    expect([stat('override_dir_exists'), stat('override_dir_not_exists'), stat('load_error')]).toEqual([
      0, 1, 0,
    ]);
    stats = new MemoryStats();
    expect(valuesOf(make(layers))).toEqual({ a: '1', b: '1' });
    expect(loggers.lines.at(-1)).toContain('layer "override" is empty: it appends the service cluster');
  });

  it.each<[string, JsonValue & object, string, string]>([
    [
      'a subdirectory upwards',
      { subdirectory: 'a/../../etc' },
      'c',
      'layers[0].disk_layer.subdirectory: "a/../../etc" leads out',
    ],
    [
      'a cluster upwards',
      { append_service_cluster: true },
      '../x',
      'layers[0].disk_layer.append_service_cluster: "../x" leads out',
    ],
    ['no root', { symlink_root: '' }, 'c', 'layers[0].disk_layer.symlink_root: is required'],
  ])('with %s is refused', (_what, more, cluster, message) => {
    expect(() => make([disk(more)], cluster)).toThrow(message);
  });

  it('is left out when it is no good from the start', () => {
    write('current/a', '1');
    symlinkSync('.', join(root, 'current', 'loop'));
    const runtime = make([{ name: 'base', static_layer: { a: 0 } }, disk()]);
    expect(valuesOf(runtime)).toEqual({ a: '0' });
    expect([stat('load_error'), stat('load_success'), stat('num_layers')]).toEqual([1, 0, 1]);
    expect(loggers.lines).toEqual([
      expect.stringMatching(
        /warning: runtime: layer "disk" cannot be read, it is left out: .*deeper than 16 folders/,
      ),
    ]);
  });

  it.each<[string, () => void, RegExp]>([
    [
      'a link that leads nowhere',
      () => symlinkSync('nowhere', join(root, 'current', 'b')),
      /b: the link leads nowhere/,
    ],
    ['a large file', () => write('current/b', 'x'.repeat(1024 * 1024 + 1)), /b: more than 1048576 bytes/],
    [
      'many large files',
      () => {
        for (let i = 0; i < 17; i++) write(`current/${i}`, 'x'.repeat(1024 * 1024));
      },
      /more than 16777216 bytes in all/,
    ],
  ])('has its limits: %s', (_what, spoil, message) => {
    write('current/a', '1');
    spoil();
    make([disk()]);
    expect(stat('load_error')).toBe(1);
    expect(loggers.lines[0]).toMatch(message);
  });

  it('does not read devices', () => {
    symlinkSync('/proc', join(root, 'current'));
    make([disk({ subdirectory: 'self' })]);
    expect(loggers.lines[0]).toMatch(/\/proc\/\d+: runtime values do not come from there/);
  });

  it('follows the link when it is turned', async () => {
    write('v1/envoy/a', '1');
    symlinkSync('v1', join(root, 'current'));
    const runtime = make([disk({ subdirectory: 'envoy' })]);
    await start(runtime);
    for (const version of ['2', '3']) {
      write(`v${version}/envoy/a`, version);
      symlinkSync(join(root, `v${version}`), join(root, 'new'));
      renameSync(join(root, 'new'), join(root, 'current'));
      await eventually(() => runtime.get('a') === version);
      expect(changes.at(-1)).toEqual({ a: version });
    }
    expect(stat('load_success')).toBeGreaterThanOrEqual(3);
  });

  it('follows edits, new folders, and a Kubernetes volume', async () => {
    write('..1/a', '1');
    symlinkSync('..1', join(root, '..data'));
    const volume = make([disk({ symlink_root: join(root, '..data') })]);
    await start(volume);
    expect(valuesOf(volume)).toEqual({ a: '1' });
    write('..data/a', '1.5');
    await eventually(() => volume.get('a') === '1.5');
    write('..2/a', '2');
    write('..2/b/c', '2');
    symlinkSync('..2', join(root, '..tmp'));
    renameSync(join(root, '..tmp'), join(root, '..data'));
    await eventually(() => volume.get('b.c') === '2');
    write('..2/b/d/e', '3');
    await eventually(() => volume.get('b.d.e') === '3');
    write('..2/b/d/e', '4');
    await eventually(() => volume.get('b.d.e') === '4');
  });

  it('comes when its folder does, and goes with it', async () => {
    const runtime = make([disk({ subdirectory: 'x/y' })]);
    await start(runtime);
    expect(runtime.layers).toEqual([]);
    write('current/x/y/a', '1');
    await eventually(() => runtime.get('a') === '1');
    renameSync(join(root, 'current'), join(root, 'away'));
    await eventually(() => runtime.layers.length === 0);
    expect(valuesOf(runtime)).toEqual({});
  });

  it('keeps what it had when it cannot be read any more', async () => {
    write('current/a', '1');
    const runtime = make([disk()]);
    await start(runtime);
    symlinkSync('nowhere', join(root, 'current', 'b'));
    await eventually(() => stat('load_error') > 0);
    expect(valuesOf(runtime)).toEqual({ a: '1' });
    expect(loggers.lines.at(-1)).toContain('what it held before stays');
    write('current/a', '2');
    unlinkSync(join(root, 'current', 'b'));
    await eventually(() => runtime.get('a') === '2');
  });

  it('mends when it was no good from the start', async () => {
    write('current/a', '1');
    symlinkSync('nowhere', join(root, 'current', 'b'));
    const runtime = make([disk()]);
    await start(runtime);
    unlinkSync(join(root, 'current', 'b'));
    await eventually(() => runtime.get('a') === '1');
    expect(runtime.layers).toHaveLength(1);
  });

  it('does not mind its neighbours', async () => {
    write('v1/a', '1');
    symlinkSync('v1', join(root, 'current'));
    await start(make([disk()]));
    const witness = make([{ name: 'witness', disk_layer: { symlink_root: root, subdirectory: 'other' } }]);
    await start(witness);
    changes.length = 0;
    write('other/x', '1');
    await eventually(() => witness.get('x') === '1');
    write('other/x', '2');
    await eventually(() => witness.get('x') === '2');
    expect(changes.filter((values) => 'a' in values)).toEqual([]);
  });
});

const rtds = (name = 'rtds', resource = 'r'): JsonValue => ({
  name,
  rtds_layer: { name: resource, rtds_config: { ads: {} } },
});

function resource(layer: JsonValue & object, name = 'r') {
  return create(ServiceRuntimeSchema, { name, layer: layer as never });
}

/** Whether a promise is fulfilled by now. */
async function isDone(promise: Promise<unknown>): Promise<boolean> {
  return Promise.race([
    promise.then(() => true),
    new Promise<boolean>((resolve) => setImmediate(() => resolve(false))),
  ]);
}

describe('an RTDS layer', () => {
  it('is empty until its first update, which the start waits for', async () => {
    const subscriptions = new FakeSubscriptions();
    const runtime = make([{ name: 'base', static_layer: { a: 0 } }, rtds()]);
    expect(runtime.layers.map(({ name }) => name)).toEqual(['base', 'rtds']);
    const started = start(runtime, subscriptions);
    const [subscription] = subscriptions.all;
    expect(subscription?.names).toEqual(['r']);
    expect(subscription?.options).toMatchObject({ type: ServiceRuntimeSchema, stats: { prefix: 'runtime' } });
    subscription?.fail('connection');
    expect(await isDone(started)).toBe(false);
    await subscription?.resources({ r: resource({ a: 1, b: { c: true } }) });
    await started;
    expect(valuesOf(runtime)).toEqual({ a: '1', 'b.c': 'true' });
    expect(changes).toEqual([{ a: '1', 'b.c': 'true' }]);
    await subscription?.update({ removed: ['r'] });
    expect(changes.at(-1)).toEqual({ a: '0' });
  });

  it.each(['timeout', 'rejected'] as const)('is not waited for after %s', async (reason) => {
    const subscriptions = new FakeSubscriptions();
    const runtime = make([rtds('one', 'r'), rtds('two', 's')]);
    const started = start(runtime, subscriptions);
    subscriptions.all[0]?.fail(reason);
    expect(await isDone(started)).toBe(false);
    subscriptions.all[1]?.fail(reason);
    await started;
    await subscriptions.all[0]?.resources({ r: resource({ a: 1 }) });
    expect(valuesOf(runtime)).toEqual({ a: '1' });
  });

  it.each<[string, Parameters<FakeSubscriptions['all'][number]['update']>[0], string]>([
    ['nothing', { full: true }, 'expected the one Runtime "r", found 0 resources'],
    [
      'two',
      {
        changed: [
          { name: 'r', version: '', message: resource({}) },
          { name: 's', version: '', message: resource({}, 's') },
        ],
      },
      'expected the one Runtime "r", found 2 resources',
    ],
    [
      'another',
      { changed: [{ name: 's', version: '', message: resource({}, 's') }] },
      'expected the Runtime "r", found "s"',
    ],
    ['the loss of another', { removed: ['s'] }, 'expected the Runtime "r", and "s" was removed'],
    [
      'null',
      { changed: [{ name: 'r', version: '', message: resource({ a: { b: null } }) }] },
      'r: layer.a.b: null is no runtime value',
    ],
    [
      'a list',
      { changed: [{ name: 'r', version: '', message: resource({ a: [1] }) }] },
      'r: layer.a: a list is no runtime value',
    ],
  ])('refuses %s, keeps what it has, and is not waited for', async (_what, update, message) => {
    const subscriptions = new FakeSubscriptions();
    const runtime = make([rtds()]);
    const started = start(runtime, subscriptions);
    await expect(subscriptions.all[0]?.update(update)).rejects.toThrow(message);
    await started;
    await subscriptions.all[0]?.resources({ r: resource({ a: 1 }) });
    await expect(subscriptions.all[0]?.update(update)).rejects.toThrow(message);
    expect(valuesOf(runtime)).toEqual({ a: '1' });
  });

  it('may have its name as an alias', async () => {
    const subscriptions = new FakeSubscriptions();
    const runtime = make([rtds()]);
    void start(runtime, subscriptions);
    const message = resource({ a: 1 }, 'other');
    await subscriptions.all[0]?.update({
      changed: [{ name: 'xdstp:///r', version: '', message, aliases: ['r'] }],
    });
    expect(valuesOf(runtime)).toEqual({ a: '1' });
  });

  it('is let go of when the proxy ends, and nobody waits', async () => {
    const subscriptions = new FakeSubscriptions();
    const runtime = make([rtds()]);
    const started = start(runtime, subscriptions);
    runtime.stop();
    await started;
    expect(subscriptions.active).toEqual([]);
  });

  it('needs dynamic configuration, a source and a name', async () => {
    await expect(start(make([rtds()]))).rejects.toThrow(
      'layered_runtime.layers[0].rtds_layer.rtds_config: this proxy was put together without',
    );
    expect(() => make([{ name: 'a', rtds_layer: { name: 'r' } }])).toThrow(
      'layers[0].rtds_layer.rtds_config: is required',
    );
    expect(() => make([rtds('a', '')])).toThrow('layers[0].rtds_layer.name: is required');
  });
});

describe('layers', () => {
  it('win in their order, and the admin layer is modified', () => {
    const runtime = make([
      { name: 'base', static_layer: { a: 1, f: {} } },
      { name: 'admin', admin_layer: {} },
    ]);
    runtime.modify(new Map([['a', '2']]));
    expect(valuesOf(runtime)).toEqual({ a: '2', f: '{}' });
    expect([stat('admin_overrides_active'), stat('load_success')]).toEqual([1, 2]);
    runtime.modify(new Map([['a', '']]));
    expect([runtime.get('a'), stat('admin_overrides_active')]).toEqual(['1', 0]);
    expect(() => make([{ name: 'base', static_layer: {} }]).modify(new Map())).toThrow('No admin layer');
  });

  it('with flags of Envoy that switch nothing here are warned of once', () => {
    const known = 'envoy.reloadable_features.orca_weight_manager_use_named_metrics_first';
    const runtime = make([
      { name: 'base', static_layer: { 'envoy.reloadable_features.x': true, [known]: false } },
      { name: 'sizes', static_layer: { re2: { max_program_size: { error_level: 1000 } } } },
      { name: 'admin', admin_layer: {} },
    ]);
    runtime.modify(new Map([['envoy.restart_features.y', 'true']]));
    runtime.modify(new Map([['envoy.restart_features.y', 'false']]));
    expect(loggers.lines.map((line) => /"(.*)" has no effect/.exec(line)?.[1])).toEqual([
      'envoy.reloadable_features.x',
      're2.max_program_size.error_level',
      'envoy.restart_features.y',
    ]);
  });

  it('count uses of what is deprecated', () => {
    make([]).noteDeprecated([
      { path: 'a', message: 'field envoy.a.B.c is deprecated' },
      { path: 'b', message: 'has no effect' },
    ]);
    expect([stat('deprecated_feature_use'), stat('deprecated_feature_seen_since_process_start')]).toEqual([
      1, 1,
    ]);
  });

  describe('that refuse what is deprecated', () => {
    const fail = 'envoy.features.fail_on_any_deprecated_feature';
    const allowed = (name: string) => `envoy.deprecated_features:envoy.a.B.${name}`;
    const warnings = [
      { path: 'a', message: 'field envoy.a.B.c is deprecated' },
      { path: 'b', message: 'value envoy.a.B.D is deprecated' },
      { path: 'e', message: 'has no effect' },
    ];
    const refused = (values: Record<string, boolean>): string[] => {
      try {
        make([{ name: 'base', static_layer: values }]).noteDeprecated(warnings);
      } catch (error) {
        expect(stat('deprecated_feature_use')).toBe(0);
        return (error as ConfigError).problems.map(({ path, message }) => `${path}: ${message}`);
      }
      return [];
    };

    it('name each use, and the key that lets it pass', () => {
      expect(refused({ [fail]: true })).toEqual([
        expect.stringMatching(
          /^a: field envoy\.a\.B\.c is deprecated, .*"envoy\.deprecated_features:envoy\.a\.B\.c" to true$/,
        ),
        expect.stringMatching(/^b: value envoy\.a\.B\.D is deprecated/),
      ]);
    });

    it('but not what is allowed by its name', () => {
      expect(refused({ [fail]: true, [allowed('c')]: true })).toEqual([expect.stringMatching(/^b: /)]);
      expect(refused({ [fail]: true, [allowed('c')]: true, [allowed('D')]: true })).toEqual([]);
      expect(stat('deprecated_feature_use')).toBe(2);
    });

    it('or what is forbidden by its name alone', () => {
      expect(refused({ [allowed('D')]: false })).toEqual([expect.stringMatching(/^b: /)]);
    });
  });
});
