import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readLoose, SdsSecretConfigSchema, type Secret, SecretSchema } from '@dragoman/api';
import { ConfigError, systemClock } from '@dragoman/core';
import {
  eventually,
  FakeDynamicResources,
  type Json,
  type TestContext,
  testContext,
} from '@dragoman/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { type WatchedSecret, watchGenericSecret, watchSecret } from '../src/index.ts';

type Fields = { readonly [field: string]: Json };

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

const secret = (name: string, fields: Fields): Secret => readLoose(SecretSchema, { name, ...fields });
const token = (text: string): Fields => ({ generic_secret: { secret: { inline_string: text } } });

class Scene {
  readonly resources = new FakeDynamicResources();
  readonly context: TestContext;
  readonly changes: string[] = [];

  constructor(statics: readonly Secret[] = []) {
    this.context = testContext({
      clock: systemClock as never,
      dynamicResources: this.resources,
      secrets: {
        find: (name) => statics.find((one) => one.name === name),
        names: statics.map(({ name }) => name),
      },
    });
  }

  watch(config: Fields): WatchedSecret<Buffer> {
    const watched = watchGenericSecret(
      readLoose(SdsSecretConfigSchema, config),
      { owner: "filter 'test'", onChange: (value) => this.changes.push(value.toString()) },
      this.context,
    );
    cleanups.push(() => watched.close());
    return watched;
  }

  give(name: string, fields: Fields): void {
    this.resources.set(SecretSchema, name, secret(name, fields));
  }

  get lastLine(): string {
    return this.context.loggers.lines.at(-1) ?? '';
  }
}

function inFolder(): (name: string) => string {
  const folder = mkdtempSync(join(tmpdir(), 'dragoman-secrets-'));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  return (name) => join(folder, name);
}

const dynamic = (name: string): Fields => ({ name, sds_config: { ads: {} } });
const ofFile = (name: string, path: string): Fields => ({
  name,
  sds_config: { path_config_source: { path } },
});

describe('a static secret', () => {
  it('is there at once', () => {
    const scene = new Scene([secret('token', token('x'))]);
    expect(scene.watch({ name: 'token' }).current?.toString()).toBe('x');
    expect(scene.changes).toEqual([]);
    expect(scene.resources.watched).toEqual([]);
  });

  it.each<[string, Fields, string]>([
    [
      'there is none of the name',
      { name: 'x' },
      'name: Unknown static secret: x; of static_resources.secrets there are',
    ],
    ['it is of another kind', { name: 'keys' }, 'name: the secret "keys" is no generic_secret'],
    ['it is no good', { name: 'bad' }, 'secret "bad": secret.filename: cannot read'],
    ['it is empty', { name: 'none' }, 'secret "none": secret: is required'],
    ['its source says nothing', { name: 'x', sds_config: {} }, 'sds_config: says no source: give ads'],
  ])('is refused when %s', (_, config, message) => {
    const scene = new Scene([
      secret('keys', { session_ticket_keys: { keys: [{ inline_string: 'x' }] } }),
      secret('bad', { generic_secret: { secret: { filename: '/no/such' } } }),
      secret('none', { generic_secret: {} }),
    ]);
    expect(() => scene.watch(config)).toThrow(message);
  });

  it('may name a file, which is watched', async () => {
    const at = inFolder();
    writeFileSync(at('token'), 'one');
    const scene = new Scene([secret('token', { generic_secret: { secret: { filename: at('token') } } })]);
    const watched = scene.watch({ name: 'token' });
    expect(watched.current?.toString()).toBe('one');
    writeFileSync(at('token'), 'two');
    await eventually(() => scene.changes.length > 0);
    expect([scene.changes, watched.current?.toString()]).toEqual([['two'], 'two']);
  });
});

describe('a secret of a file', () => {
  it('is read again, and counts when what it names has gone bad', async () => {
    const at = inFolder();
    writeFileSync(at('token'), 'one');
    writeFileSync(
      at('sds.json'),
      JSON.stringify({ name: 'token', generic_secret: { secret: { filename: at('token') } } }),
    );
    const scene = new Scene();
    const watched = scene.watch(ofFile('token', at('sds.json')));
    expect(watched.current?.toString()).toBe('one');
    rmSync(at('token'));
    await eventually(() => scene.context.stats.value('sds.token.key_rotation_failed') === 1);
    expect(watched.current?.toString()).toBe('one');
    expect(scene.lastLine).toContain(
      'filter \'test\': the new secret "token" is no good, the one before stays in use',
    );
    writeFileSync(at('sds.json'), JSON.stringify({ name: 'token', ...token('two') }));
    await eventually(() => watched.current?.toString() === 'two');
  });
});

describe('a secret of a control plane', () => {
  it('comes later, changes, and stays when it is removed', () => {
    const scene = new Scene();
    const watched = scene.watch(dynamic('token'));
    expect(watched.current).toBeUndefined();
    expect(scene.lastLine).toContain('filter \'test\': secret "token" is not ready');
    scene.give('token', token('one'));
    scene.give('token', token('two'));
    scene.resources.set(SecretSchema, 'token', undefined);
    expect([scene.changes, watched.current?.toString()]).toEqual([['one', 'two'], 'two']);
    watched.close();
    scene.give('token', token('three'));
    expect(watched.current?.toString()).toBe('two');
    expect(scene.resources.watched).toEqual([]);
  });

  it('is there at once when it is known', () => {
    const scene = new Scene();
    scene.watch(dynamic('token'));
    scene.give('token', token('one'));
    expect(scene.watch(dynamic('token')).current?.toString()).toBe('one');
    expect(scene.changes).toEqual(['one']);
  });

  it('is refused with a path in it', () => {
    const scene = new Scene();
    const watched = scene.watch(dynamic('token'));
    scene.give('token', token('one'));
    for (const [fields, message] of [
      [{ generic_secret: {} }, 'generic_secret.secret: is required'],
      [{ generic_secret: { secret: { filename: '/no/such' } } }, 'generic_secret.secret'],
      [{}, 'name: the secret "token" is no generic_secret'],
    ] as const) {
      expect(() => scene.give('token', fields)).toThrow(ConfigError);
      expect(() => scene.give('token', fields)).toThrow(message);
    }
    expect(watched.current?.toString()).toBe('one');
  });

  it('that a reader fails on with something else than ConfigError is refused all the same', () => {
    const scene = new Scene();
    const watched = watchSecret(
      readLoose(SdsSecretConfigSchema, dynamic('token')),
      {
        owner: 'test',
        kind: 'genericSecret',
        read: () => {
          throw new TypeError('a mistake');
        },
      },
      scene.context,
    );
    cleanups.push(() => watched.close());
    expect(() => scene.give('token', token('one'))).toThrow('generic_secret: a mistake');
  });
});
