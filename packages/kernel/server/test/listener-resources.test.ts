import { ListenerSchema, readLoose, RouteConfigurationSchema } from '@dragoman/api';
import { ExtensionRegistry } from '@dragoman/core';
import { FakeDynamicResources, testContext } from '@dragoman/testing';
import { expect, test } from 'vitest';
import { compileListener } from '../src/listener/listener-config.ts';
import { EXTENSIONS } from './extensions.ts';

const filterChain = (more: object = {}) => ({
  filters: [
    {
      name: 'envoy.filters.network.http_connection_manager',
      typed_config: {
        '@type':
          'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
        stat_prefix: 'x',
        rds: { config_source: { ads: {} }, route_config_name: 'r' },
        http_filters: [
          {
            name: 'envoy.filters.http.router',
            typed_config: {
              '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router',
            },
          },
        ],
        ...more,
      },
    },
  ],
});

const listener = (...chains: readonly object[]) =>
  readLoose(ListenerSchema, {
    address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
    filter_chains: chains,
  });

function contextWith(dynamicResources: FakeDynamicResources) {
  const registry = new ExtensionRegistry(EXTENSIONS);
  return testContext({ dynamicResources, extensions: registry });
}

test('what a listener watches ends with it', () => {
  const resources = new FakeDynamicResources();
  const compiled = compileListener(listener(filterChain()), 'l', contextWith(resources));
  expect(resources.watched).toEqual([`${RouteConfigurationSchema.typeName} r`]);
  compiled.close();
  expect(resources.watched).toEqual([]);
});

test('a listener that is refused watches nothing', () => {
  const resources = new FakeDynamicResources();
  expect(() =>
    compileListener(
      listener(filterChain(), { ...filterChain({ codec_type: 'HTTP3' }), name: 'other' }),
      'l',
      contextWith(resources),
    ),
  ).toThrow('HTTP3');
  expect(resources.watched).toEqual([]);
});
