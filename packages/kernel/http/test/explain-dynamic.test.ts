import { HttpConnectionManagerSchema, readLoose, RouteConfigurationSchema } from '@dragoman/api';
import { ExtensionRegistry, type HttpFilterExtension } from '@dragoman/core';
import { FakeDynamicResources, testContext } from '@dragoman/testing';
import { expect, test } from 'vitest';
import { ExplainedManagers, explainHttp } from '../src/index.ts';
import { requestIds } from './manager-rig.ts';
import { request, streamInfo } from './routes-support.ts';

const terminal = {
  category: 'http-filters',
  name: 'terminal',
  terminal: true,
  create: () => () => ({}),
} as unknown as HttpFilterExtension;

test('a request is explained with the routes that are in place, compiled once for each version', () => {
  const resources = new FakeDynamicResources();
  const context = testContext({
    dynamicResources: resources,
    extensions: new ExtensionRegistry([terminal, requestIds]),
  });
  const config = readLoose(HttpConnectionManagerSchema, {
    stat_prefix: 'x',
    rds: { config_source: { ads: {} }, route_config_name: 'r' },
    http_filters: [{ name: 'terminal' }],
  });
  const managers = new ExplainedManagers();
  const explain = () =>
    explainHttp(
      config,
      { headers: request('/'), info: streamInfo(), random: 0 },
      { context, managers, clusterHosts: () => undefined },
    );
  const set = (name: string) =>
    resources.set(
      RouteConfigurationSchema,
      'r',
      readLoose(RouteConfigurationSchema, {
        name: 'r',
        virtual_hosts: [
          {
            name,
            domains: ['*'],
            routes: [{ name, match: { prefix: '/' }, redirect: { path_redirect: '/' } }],
          },
        ],
      }),
    );
  expect(explain().miss).toBe('the route configuration "r" has not come from its config source yet');
  set('one');
  expect(explain().route?.name).toBe('one');
  const before = managers.get(config, context);
  expect(managers.get(config, context)).toBe(before);
  set('two');
  expect(explain().route?.name).toBe('two');
  expect(resources.watched).toEqual([]);
});
