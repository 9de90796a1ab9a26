import { BoolValueSchema, EmptySchema, StringValueSchema } from '@bufbuild/protobuf/wkt';
import { describe, expect, it } from 'vitest';
import {
  ConfigError,
  defineHttpFilter,
  defineNetworkFilter,
  type Extension,
  ExtensionRegistry,
  plannedPackage,
} from '../src/index.ts';

const http = (name: string, config: typeof BoolValueSchema | typeof StringValueSchema, more: object = {}) =>
  defineHttpFilter({ name, config, create: () => () => ({}), ...more });
const cors = http('envoy.filters.http.cors', BoolValueSchema, { configAliases: [StringValueSchema] });
const network = defineNetworkFilter({
  name: 'envoy.filters.network.echo',
  config: BoolValueSchema,
  terminal: true,
  create: () => () => ({}),
});
const registry = new ExtensionRegistry([cors, network]);

function messageOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as Error).message;
  }
  throw new Error('nothing was thrown');
}

describe('resolve', () => {
  it.each([
    ['the type of its config', 'anything', 'google.protobuf.BoolValue'],
    ['an alias of its config', 'anything', 'google.protobuf.StringValue'],
    ['its name, without a config', 'envoy.filters.http.cors', undefined],
    ['its name, with an empty config', 'envoy.filters.http.cors', 'google.protobuf.Empty'],
    ['its name, with a struct', 'envoy.filters.http.cors', 'google.protobuf.Struct'],
  ])('finds an extension by %s', (_, name, type) => {
    expect(registry.resolve('http-filters', name, type, '')).toBe(cors);
  });

  it('keeps categories apart', () => {
    expect(registry.resolve('network-filters', 'x', 'google.protobuf.BoolValue', '')).toBe(network);
    expect(registry.find('network-filters', cors.name)).toBeUndefined();
    expect(registry.ofCategory('http-filters')).toEqual([cors]);
    expect(registry.ofCategory('tracers')).toEqual([]);
  });

  it('names the package that would provide an extension', () => {
    const message = messageOf(() =>
      registry.resolve(
        'http-filters',
        'envoy.filters.http.jwt_authn',
        'envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication',
        'a.b',
      ),
    );
    expect(message).toMatch(/^a\.b: /);
    expect(message).toContain('@dragoman/http-filter-jwt-authn');
    expect(message).toContain('this assembly has envoy.filters.http.cors');
  });

  it('says so when nobody knows the extension', () => {
    expect(messageOf(() => registry.resolve('http-filters', 'mine', undefined, 'a'))).toContain(
      'unknown extension "mine"',
    );
    expect(messageOf(() => registry.resolve('tracers', 'mine', undefined, 'a'))).toContain(
      'this assembly has none of its kind',
    );
  });

  it('does not take a config for that of another extension of the same name', () => {
    expect(() =>
      registry.resolve('http-filters', 'envoy.filters.http.cors', 'google.protobuf.Int32Value', 'a'),
    ).toThrow(ConfigError);
  });
});

describe('an assembly', () => {
  it.each<[string, Extension[], string]>([
    ['the same extension twice', [cors, cors], 'listed twice'],
    ['two of one name', [cors, http(cors.name, StringValueSchema)], 'two extensions claim'],
    ['two of one config', [cors, http('envoy.filters.http.other', BoolValueSchema)], 'two extensions claim'],
    ['one without a name', [http('', BoolValueSchema)], 'no name or category'],
    ['something else', [undefined as never], 'not an extension'],
  ])('may not have %s', (_, extensions, message) => {
    expect(messageOf(() => new ExtensionRegistry(extensions))).toContain(message);
  });
});

describe('plannedPackage', () => {
  it.each([
    ['http-filters', 'envoy.filters.http.ext_authz', undefined, '@dragoman/http-filter-ext-authz'],
    ['http-filters', 'mine', `${EmptySchema.typeName}`, undefined],
    ['http-filters', 'mine', 'envoy.extensions.filters.http.cors.v3.Cors', '@dragoman/http-filter-cors'],
    [
      'load-balancers',
      'envoy.load_balancing_policies.ring_hash',
      undefined,
      '@dragoman/load-balancer-ring-hash',
    ],
    [
      'internal-redirect-predicates',
      'envoy.internal_redirect_predicates.filter_state',
      undefined,
      '@dragoman/internal-redirect-predicate-filter-state',
    ],
    [
      'resource-monitors',
      'envoy.resource_monitors.global_downstream_max_connections',
      undefined,
      '@dragoman/resource-monitor-downstream-connections',
    ],
    ['matchers', 'envoy.matching.x', undefined, undefined],
  ] as const)('of %s %s', (category, name, type, expected) => {
    expect(plannedPackage(category, name, type)).toBe(expected);
  });
});
