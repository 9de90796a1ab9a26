import {
  anyPack,
  BoolValueSchema,
  create,
  EmptySchema,
  Int32ValueSchema,
  readLoose,
  RouteConfigurationSchema,
  StringValueSchema,
  TypedExtensionConfigSchema,
} from '@dragoman/api';
import {
  type CreateHttpFilter,
  defineHttpFilter,
  defineTerminalHttpFilter,
  type HttpStream,
} from '@dragoman/core';
import { FakeDynamicResources, type JsonObject } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { ManagerRig, ok } from './manager-rig.ts';

const CONFIG = TypedExtensionConfigSchema;
const ROUTES = RouteConfigurationSchema;
const URL = 'type.googleapis.com/google.protobuf.';

/** Writes its config into a header of the request. */
const marker = defineHttpFilter({
  name: 'marker',
  config: StringValueSchema,
  perRoute: EmptySchema,
  create({ value }, { dynamicResources }): CreateHttpFilter {
    if (value === 'bad') throw new Error('no marker');
    if (value.startsWith('watch '))
      dynamicResources.watch(
        { type: ROUTES, source: {}, name: value.slice(6) },
        { prepare: () => () => undefined },
      );
    return (stream: HttpStream) => ({
      onRequestHeaders(headers) {
        headers.set('x-mark', value);
        if (stream.perRouteConfig() !== undefined) headers.set('x-here', 'yes');
      },
    });
  },
});

const other = defineHttpFilter({ name: 'other', config: BoolValueSchema, create: () => () => ({}) });

/** Answers. */
const ender = defineTerminalHttpFilter({
  name: 'ender',
  config: Int32ValueSchema,
  create:
    ({ value }) =>
    (stream) => ({
      onRequestHeaders: () => ok(stream, String(value)),
      onRequestBody: () => true,
      onRequestTrailers() {},
      onDownstreamWritable() {},
      onComplete() {},
    }),
});

const mark = (value: string) =>
  create(CONFIG, {
    name: 'f',
    typedConfig: anyPack(StringValueSchema, create(StringValueSchema, { value })),
  });
const flag = create(CONFIG, { name: 'f', typedConfig: anyPack(BoolValueSchema, create(BoolValueSchema)) });
const end = (value: number) =>
  create(CONFIG, { name: 'e', typedConfig: anyPack(Int32ValueSchema, create(Int32ValueSchema, { value })) });

interface SceneOptions {
  readonly discovery?: JsonObject;
  readonly entry?: JsonObject;
  readonly last?: JsonObject;
  readonly resources?: FakeDynamicResources;
  readonly manager?: JsonObject;
}

function sceneOf({
  discovery,
  entry,
  last,
  resources = new FakeDynamicResources(),
  manager,
}: SceneOptions = {}) {
  const rig = new ManagerRig({
    extensions: [marker, other, ender],
    manager: {
      http_filters: [
        {
          name: 'f',
          config_discovery: { config_source: { ads: {} }, type_urls: [`${URL}StringValue`], ...discovery },
          ...entry,
        },
        last ?? { name: 'terminal' },
      ],
      ...manager,
    },
    context: { dynamicResources: resources },
  });
  return { rig, resources, set: (config: unknown) => resources.set(CONFIG, 'f', config) };
}

/** What the filter has left in a request. */
async function markOf(rig: ManagerRig): Promise<string | undefined> {
  await rig.request();
  return rig.requests.at(-1)?.get('x-mark');
}

const default_config = { '@type': `${URL}StringValue`, value: 'default' };

describe('a filter whose config is discovered', () => {
  it('answers in its place with 500 as long as there is none', async () => {
    const { rig, set, resources } = sceneOf();
    expect(resources.watched).toEqual(['envoy.config.core.v3.TypedExtensionConfig f']);
    await rig.request();
    expect(rig.requests).toEqual([]);
    expect(rig.response.status).toBe(500);
    expect(rig.logged).toEqual(['500 no_filter_config NFCF']);
    set(mark('one'));
    expect(await markOf(rig)).toBe('one');
    set(mark('two'));
    expect(await markOf(rig)).toBe('two');
    set(undefined);
    await rig.request();
    expect(rig.logged.at(-1)).toBe('500 no_filter_config NFCF');
  });

  it('has its default config before, and after it is removed', async () => {
    const { rig, set } = sceneOf({
      discovery: { default_config, apply_default_config_without_warming: true },
    });
    expect(await markOf(rig)).toBe('default');
    set(mark('one'));
    expect(await markOf(rig)).toBe('one');
    set(undefined);
    expect(await markOf(rig)).toBe('default');
  });

  it('may be switched off', async () => {
    const { rig } = sceneOf({ entry: { disabled: true } });
    expect(await markOf(rig)).toBeUndefined();
    expect(rig.requests).toHaveLength(1);
  });

  it('keeps the config that is in place when another is refused', async () => {
    const { rig, set, resources } = sceneOf({ discovery: { default_config } });
    set(mark('one'));
    expect(() => set(mark('bad'))).toThrow('typed_config: no marker');
    expect(() => set(flag)).toThrow(
      'typed_config: is a google.protobuf.BoolValue, while type_urls allow google.protobuf.StringValue',
    );
    expect(() => set(create(CONFIG, { name: 'f' }))).toThrow('typed_config: is required');
    resources.refuse(CONFIG, 'f', mark('two'));
    expect(await markOf(rig)).toBe('one');
  });

  it('begins with its default where what is known does not fit', async () => {
    const resources = new FakeDynamicResources();
    resources.set(CONFIG, 'f', flag);
    const { rig, set } = sceneOf({ resources, discovery: { default_config } });
    expect(await markOf(rig)).toBe('default');
    expect(rig.context.stats.value('extension_config_discovery.http_filter.f.config_conflict')).toBe(1);
    set(mark('one'));
    expect(await markOf(rig)).toBe('one');
  });

  it('may be the last', async () => {
    const { rig, resources } = sceneOf({
      entry: { disabled: true },
      last: {
        name: 'e',
        config_discovery: {
          config_source: { ads: {} },
          type_urls: [`${URL}Int32Value`, `${URL}StringValue`],
        },
      },
    });
    await rig.request();
    expect(rig.response.status).toBe(500);
    resources.set(CONFIG, 'e', end(7));
    await rig.request();
    expect(rig.responses().at(-1)?.body.toString()).toBe('7');
    expect(() => resources.set(CONFIG, 'e', mark('x'))).toThrow('marker is not a terminal filter');
  });

  it('has configs for routes', async () => {
    const { rig, set } = sceneOf({
      manager: {
        route_config: {
          typed_per_filter_config: { f: { '@type': `${URL}Empty` } },
          virtual_hosts: [
            { name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'c' } }] },
          ],
        },
      },
    });
    set(mark('one'));
    await rig.request();
    expect(rig.requests[0]?.get('x-here')).toBe('yes');
  });

  it('ends what a config watches that has gone', () => {
    const { set, resources } = sceneOf();
    set(mark('watch a'));
    expect(resources.watched).toContain(`${ROUTES.typeName} a`);
    set(mark('watch b'));
    resources.refuse(CONFIG, 'f', mark('watch c'));
    expect(resources.watched).not.toContain(`${ROUTES.typeName} a`);
    expect(resources.watched).toContain(`${ROUTES.typeName} b`);
    set(mark('d'));
    expect(resources.watched).toEqual([`${CONFIG.typeName} f`]);
  });
});

describe('discovery that is refused', () => {
  const at = 'http_filters[0].config_discovery';
  const routes = (config: JsonObject): JsonObject => ({
    route_config: { typed_per_filter_config: { f: config }, virtual_hosts: [] },
  });
  it.each<[string, SceneOptions, string]>([
    ['no source', { entry: { config_discovery: {} } }, `${at}.config_source: is required`],
    ['no type', { discovery: { type_urls: [] } }, `${at}.type_urls: needs one at least`],
    [
      'an unknown type',
      { discovery: { type_urls: ['a/b.C'] } },
      `${at}.type_urls[0]: unknown extension "b.C"`,
    ],
    [
      'no default to apply',
      { discovery: { apply_default_config_without_warming: true } },
      `${at}.apply_default_config_without_warming: needs a default_config`,
    ],
    [
      'a default of another type',
      { discovery: { default_config: { '@type': `${URL}BoolValue`, value: true } } },
      `${at}.default_config: is a google.protobuf.BoolValue`,
    ],
    [
      'a default that does not compile',
      { discovery: { default_config: { '@type': `${URL}StringValue`, value: 'bad' } } },
      `${at}.default_config: no marker`,
    ],
    [
      'a terminal filter in the middle',
      {
        discovery: {
          type_urls: [`${URL}Int32Value`],
          default_config: { '@type': `${URL}Int32Value`, value: 1 },
        },
      },
      `${at}.default_config: ender is a terminal filter: it must be the last`,
    ],
    [
      'a last one that is off',
      { last: { name: 'e', disabled: true, config_discovery: { config_source: { ads: {} } } } },
      'http_filters[1].disabled: a terminal filter cannot be disabled',
    ],
    [
      'a config for routes of one of several',
      {
        discovery: { type_urls: [`${URL}StringValue`, `${URL}BoolValue`] },
        manager: routes({ '@type': `${URL}Empty` }),
      },
      'typed_per_filter_config["f"]: "f" may turn out to be one of several filters',
    ],
  ])('%s', (_what, options, message) => {
    expect(() => sceneOf(options)).toThrow(message);
  });
});

it('reads messages as they are sent', () => {
  const sent = readLoose(CONFIG, { name: 'f', typed_config: { '@type': `${URL}StringValue`, value: 'x' } });
  const { set } = sceneOf();
  expect(() => set(sent)).not.toThrow();
});
