import {
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  anyPack,
  ClusterLoadAssignmentSchema,
  create,
  DiscoveryResponseSchema,
  PathConfigSourceSchema,
  ResourceSchema,
  ServiceRuntimeSchema,
  toBinary,
} from '@dragoman/api';
import { ConfigError, type ConfigSubscription, systemClock } from '@dragoman/core';
import { eventually, FakeClock, MemoryStats, RecordingLoggers } from '@dragoman/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createFileSubscription, pathConfigSource } from '../src/index.ts';
import { Subscriber } from './support/subscriber.ts';

let root: string;
let subscriber: Subscriber<typeof ClusterLoadAssignmentSchema>;
let loggers: RecordingLoggers;
let stats: MemoryStats;
const open: ConfigSubscription[] = [];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'dragoman-file-'));
  subscriber = new Subscriber(ClusterLoadAssignmentSchema);
  loggers = new RecordingLoggers();
  stats = new MemoryStats();
});

afterEach(() => {
  for (const subscription of open.splice(0)) subscription.stop();
  rmSync(root, { recursive: true, force: true });
});

const TYPE = 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment';

function yaml(version: string, ...names: string[]): string {
  const resources = names.map((name) => `- "@type": ${TYPE}\n  cluster_name: ${name}\n`).join('');
  return `version_info: "${version}"\nresources:\n${resources === '' ? '  []\n' : resources}`;
}

function put(name: string, content: string | Uint8Array): string {
  const path = join(root, name);
  writeFileSync(path, content);
  return path;
}

/** As an editor or a deploy does it. */
function move(name: string, content: string): void {
  renameSync(put(`.${name}.new`, content), join(root, name));
}

function subscribe(
  path: string,
  {
    names,
    clock = systemClock,
    directory,
  }: {
    names?: readonly string[];
    clock?: typeof systemClock;
    directory?: string;
  } = {},
): ConfigSubscription {
  const source = create(PathConfigSourceSchema, {
    path,
    ...(directory === undefined ? {} : { watchedDirectory: { path: directory } }),
  });
  const context = { clock, loggers, settleMs: 5, stats, unknownFields: 'reject' as const };
  const subscription = createFileSubscription(subscriber.options(names), source, context);
  open.push(subscription);
  return subscription;
}

describe('a file', () => {
  it('is read before subscribe returns, and counted', () => {
    subscribe(put('a.yaml', yaml('foo', 'one', 'two')));
    expect(subscriber.seen).toEqual(['foo: one two']);
    const [update] = subscriber.updates;
    expect(update).toMatchObject({ removed: [], versionInfo: 'foo', full: true });
    expect(update?.changed[0]).toMatchObject({
      name: 'one',
      version: 'foo',
      message: { clusterName: 'one' },
    });
    expect(subscriber.counts).toEqual({ update_attempt: 1, update_success: 1 });
    expect(subscriber.stats.text('s.version_text')).toBe('foo');
    expect(subscriber.stats.value('s.version')).toBe(Number(0x33bf00a859c4ba3fn));
    expect(subscriber.stats.value('s.update_time')).toBeGreaterThan(0);
    expect(subscriber.stats.samples('s.update_duration')).toHaveLength(1);
  });

  it.each([
    ['a.yml', yaml('1', 'one')],
    ['a.json', JSON.stringify({ version_info: '1', resources: [{ '@type': TYPE, cluster_name: 'one' }] })],
    ['a.pb_text', `version_info: "1" resources { [${TYPE}] { cluster_name: "one" } }`],
    ['a.textproto', `version_info: "1" resources { [${TYPE}] { cluster_name: "one" } }`],
    [
      'a.pb',
      toBinary(
        DiscoveryResponseSchema,
        create(DiscoveryResponseSchema, {
          versionInfo: '1',
          resources: [
            anyPack(ClusterLoadAssignmentSchema, create(ClusterLoadAssignmentSchema, { clusterName: 'one' })),
          ],
        }),
      ),
    ],
  ])('is read by its suffix: %s', (name, content) => {
    subscribe(put(name, content));
    expect(subscriber.seen).toEqual(['1: one']);
  });

  it('may wrap its resources, with a version and aliases of their own', () => {
    const inner = `{ "@type": ${TYPE}, cluster_name: inner }`;
    const resource = `{ "@type": type.googleapis.com/${ResourceSchema.typeName}, name: outer, version: "3", aliases: [other], resource: ${inner} }`;
    subscribe(put('a.yaml', `version_info: "1"\nresources: [${resource}]`), { names: ['other'] });
    expect(subscriber.updates[0]?.changed).toMatchObject([
      { name: 'outer', version: '3', aliases: ['other'], message: { clusterName: 'inner' } },
    ]);
  });

  it('gives the names that are wanted, and others when those change', async () => {
    const subscription = subscribe(put('a.yaml', yaml('1', 'one', 'two', 'three')), { names: ['two'] });
    subscription.setNames(['two']);
    subscription.setNames(['three', 'one']);
    expect(subscriber.seen).toEqual(['1: two']);
    await eventually(() => subscriber.updates.length === 2);
    subscription.setNames(['nobody']);
    await eventually(() => subscriber.updates.length === 3);
    expect(subscriber.seen).toEqual(['1: two', '1: one three', '1: ']);
    expect(subscriber.counts).toEqual({ update_attempt: 1, update_success: 3, update_empty: 1 });
  });
});

describe('a file that changes is read again', () => {
  it.each<[string, (path: string, content: string) => void]>([
    ['edited in place', (path, content) => writeFileSync(path, content)],
    ['renamed over', (_path, content) => move('a.yaml', content)],
    [
      'deleted and written',
      (path, content) => {
        unlinkSync(path);
        writeFileSync(path, content);
      },
    ],
  ])('%s', async (_what, change) => {
    const path = put('a.yaml', yaml('1', 'one'));
    subscribe(path);
    for (const version of ['2', '3']) {
      change(path, yaml(version, 'one', 'two'));
      await eventually(() => subscriber.seen.at(-1) === `${version}: one two`);
    }
    expect(subscriber.failures).toEqual([]);
  });

  it('in a Kubernetes volume, with watched_directory', async () => {
    const volume = (version: string) => {
      mkdirSync(join(root, `..${version}`));
      put(`..${version}/a.yaml`, yaml(version, 'one'));
    };
    volume('1');
    symlinkSync('..1', join(root, '..data'));
    symlinkSync('..data/a.yaml', join(root, 'a.yaml'));
    subscribe(join(root, 'a.yaml'), { directory: root });
    for (const version of ['2', '3']) {
      volume(version);
      symlinkSync(`..${version}`, join(root, '..tmp'));
      renameSync(join(root, '..tmp'), join(root, '..data'));
      await eventually(() => subscriber.seen.at(-1) === `${version}: one`);
    }
  });

  it('but not once it was stopped', async () => {
    const path = put('a.yaml', yaml('1', 'one'));
    subscribe(path).stop();
    const other = new Subscriber(ClusterLoadAssignmentSchema);
    open.push(
      createFileSubscription(other.options(), pathConfigSource(path), {
        clock: systemClock,
        loggers,
        settleMs: 5,
        stats,
      }),
    );
    move('a.yaml', yaml('2', 'one'));
    await eventually(() => other.seen.length === 2);
    expect(subscriber.seen).toEqual(['1: one']);
  });
});

it.each([
  ['takes it', () => {}],
  [
    'refuses it',
    () => {
      throw ConfigError.at('one', 'is no good');
    },
  ],
])('a subscriber that stops while it %s hears no more, and nothing is counted', async (_what, then) => {
  const path = put('a.yaml', yaml('1', 'one'));
  const subscription = subscribe(path);
  subscriber.onUpdate = () => {
    subscription.stop();
    then();
  };
  move('a.yaml', yaml('2', 'one'));
  await eventually(() => subscriber.seen.length === 2);
  await Promise.resolve();
  expect(subscriber.failures).toEqual([]);
  expect(subscriber.counts).toEqual({ update_attempt: 2, update_success: 1 });
});

describe('a file that is no good', () => {
  it('is told with its place, and what was before goes on', async () => {
    const path = put('a.yaml', yaml('1', 'one'));
    subscribe(path);
    writeFileSync(path, 'version_info: "2"\nresources: [}\n');
    await eventually(() => subscriber.failures.length === 1);
    expect(subscriber.failures[0]).toContain(`rejected: ${path}:2:13`);
    expect(subscriber.seen).toEqual(['1: one']);
    expect(subscriber.counts).toEqual({ update_attempt: 2, update_success: 1, update_failure: 1 });
    expect(subscriber.stats.text('s.version_text')).toBe('1');
    writeFileSync(path, yaml('3', 'one'));
    await eventually(() => subscriber.seen.length === 2);
  });

  it.each([
    [
      'a field that there is not',
      `${yaml('1', 'one')}  polcy: {}\n`,
      /a\.yaml:5:3: resources\[0\].polcy.*did you mean "policy"/,
    ],
    [
      'a value that is not allowed',
      yaml('1', '""'),
      /a\.yaml:4:17: resources\[0\].cluster_name: must not be empty/,
    ],
    [
      'a resource of another type',
      `resources:\n- "@type": type.googleapis.com/${ServiceRuntimeSchema.typeName}\n  name: a\n`,
      /a\.yaml:2:3: resources\[0\]: expected envoy.config.endpoint.v3.ClusterLoadAssignment, found envoy.service.runtime.v3.Runtime/,
    ],
    [
      'two of a name',
      yaml('1', 'one', 'one'),
      /a\.yaml:5:3: resources\[1\]: there are two resources named "one"/,
    ],
    [
      'a time to live',
      `resources:\n- "@type": type.googleapis.com/${ResourceSchema.typeName}\n  ttl: 5s\n  resource: { "@type": ${TYPE}, cluster_name: a }\n`,
      /a\.yaml:3:8: resources\[0\].ttl: only resources that come over gRPC/,
    ],
  ])('is rejected for %s', (_what, text, message) => {
    subscribe(put('a.yaml', text));
    expect(subscriber.failures).toEqual([expect.stringMatching(message)]);
    expect(subscriber.counts).toEqual({ update_attempt: 1, update_rejected: 1 });
  });

  it.each([
    ['empty', '', 'it is empty'],
    ['blank', ' \n\n', 'it is empty'],
  ])('is %s', (_what, text, message) => {
    subscribe(put('a.yaml', text));
    expect(subscriber.failures).toEqual([expect.stringContaining(message)]);
    expect(subscriber.counts).toEqual({ update_attempt: 1, update_failure: 1 });
  });

  it('is no file, or is too large', () => {
    mkdirSync(join(root, 'folder'));
    subscribe(join(root, 'folder'));
    const path = put('a.yaml', yaml('1', 'one'));
    // It takes no place on the disk.
    truncateSync(path, 64 * 1024 * 1024 + 1);
    subscribe(path);
    expect(subscriber.failures[1]).toContain('it has 67108865 bytes, more than 67108864');
    expect(subscriber.failures[0]).toContain('it is no file');
  });

  it('is refused by its subscriber, whose problems get their places', async () => {
    const path = put('a.yaml', yaml('1', 'one', 'two'));
    subscriber.onUpdate = () => {
      throw new ConfigError([
        { path: 'two: cluster_name', message: 'is no good' },
        { path: 'two', message: 'whole' },
        { path: 'elsewhere', message: 'has no place' },
      ]);
    };
    subscribe(path);
    expect(subscriber.failures).toEqual([
      `rejected: ${path}:6:17: two: cluster_name: is no good\n${path}:5:3: two: whole\n${path}:1:1: elsewhere: has no place`,
    ]);
    expect(subscriber.counts).toEqual({ update_attempt: 1, update_rejected: 1 });
    subscriber.onUpdate = () => Promise.reject(new TypeError('a bug'));
    move('a.yaml', yaml('2', 'one'));
    await eventually(() => subscriber.failures.length === 2);
    expect(subscriber.failures[1]).toBe('rejected: a bug');
    expect(loggers.lines.at(-1)).toContain('TypeError: a bug\n    at');
  });

  it('is not there when it is subscribed to', () => {
    expect(() => subscribe(join(root, 'no'))).toThrow(
      /^path: ".*no" must be there when the config that names it is loaded: ENOENT/,
    );
    const path = put('a.yaml', yaml('1'));
    expect(() => subscribe(path, { directory: join(root, 'no') })).toThrow(/^watched_directory.path: /);
    expect(() => subscribe('')).toThrow('path: is required');
  });

  it('goes, and comes back', async () => {
    const path = put('a.yaml', yaml('1', 'one'));
    subscribe(path);
    unlinkSync(path);
    await eventually(() => subscriber.failures.length === 1);
    expect(subscriber.failures[0]).toContain('cannot be read: ENOENT');
    writeFileSync(path, yaml('2', 'one'));
    await eventually(() => subscriber.seen.length === 2);
  });
});

describe('time', () => {
  it('is given to whoever writes a file in parts', async () => {
    const clock = new FakeClock();
    const path = put('a.yaml', yaml('1', 'one'));
    subscribe(path, { clock });
    clock.advance(100);
    expect(clock.pendingTimers).toBe(0);
    const text = yaml('2', 'one', 'two');
    writeFileSync(path, `${text}- "@ty`);
    await eventually(() => clock.pendingTimers === 1);
    clock.advance(5);
    // It is looked at once more.
    clock.advance(499);
    expect(subscriber.failures).toEqual([]);
    writeFileSync(path, text);
    clock.advance(1);
    expect(subscriber.seen).toEqual(['1: one', '2: one two']);
    expect(subscriber.failures).toEqual([]);
  });

  it('passes until a subscriber is done; then it gets the newest', async () => {
    const path = put('a.yaml', yaml('1', 'one'));
    const gates: (() => void)[] = [];
    subscriber.onUpdate = () => new Promise((resolve) => gates.push(resolve));
    const subscription = subscribe(path, { names: ['one'] });
    move('a.yaml', yaml('2', 'one', 'two'));
    subscription.setNames(['one', 'two']);
    const witness = new Subscriber(ClusterLoadAssignmentSchema);
    open.push(
      createFileSubscription(witness.options(), pathConfigSource(path), {
        clock: systemClock,
        loggers,
        settleMs: 30,
        stats,
      }),
    );
    move('a.yaml', yaml('3', 'one', 'two'));
    await eventually(() => witness.seen.at(-1) === '3: one two');
    expect(subscriber.seen).toEqual(['1: one']);
    expect(subscriber.counts).toEqual({ update_attempt: 1 });
    gates[0]?.();
    await eventually(() => subscriber.seen.length === 2);
    gates[1]?.();
    await eventually(() => subscriber.counts['update_success'] === 2);
    expect(subscriber.seen).toEqual(['1: one', '3: one two']);
  });
});

it('lets unknown fields through by default, counts them, and says so once', async () => {
  const text = `${yaml('1', 'one')}  polcy: {}\n`;
  const path = put('a.yaml', text);
  const context = { clock: systemClock, loggers, settleMs: 5, stats };
  open.push(createFileSubscription(subscriber.options(), pathConfigSource(path), context));
  move('a.yaml', text);
  await eventually(() => subscriber.seen.length === 2);
  expect(loggers.lines.filter((line) => line.includes('polcy'))).toHaveLength(1);
  expect(stats.value('server.dynamic_unknown_fields')).toBe(2);
});
