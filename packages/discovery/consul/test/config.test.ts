import { checkConstraints, ConsulClusterSchema, readLoose } from '@dragoman/api';
import { DiscoveryScene } from '@dragoman/testing';
import { expect, it } from 'vitest';
import { readOptions } from '../src/config.ts';
import { consul } from '../src/index.ts';
import { clusterOf } from './support/scene.ts';

it('asks the agent of the machine by default', () => {
  expect(readOptions(clusterOf({ service: 'web' }))).toMatchObject({
    server: { origin: 'http://127.0.0.1:8500' },
    path: '/v1/health/service/web?',
    waitMs: 300_000,
    maxStaleMs: 10_000,
    maxInstances: 50_000,
    regionKey: 'region',
    zoneKey: 'zone',
  });
  expect(readOptions(clusterOf({ service: 'web', wait: '1.5s' })).waitMs).toBe(2000);
});

it.each([
  [{}, /^service: /],
  [{ service: 'web', wait: '601s' }, /^wait: /],
  [{ service: 'web', wait: '0.5s' }, /^wait: /],
  [{ service: 'web', tags: [''] }, /^tags\[0\]: /],
  [{ service: 'web', max_instances: 0 }, /^max_instances: /],
  [{ service: 'web', api_server: { request_timeout: '0s' } }, /^api_server.request_timeout: /],
])('is checked: %j', (fields, problem) => {
  const problems = checkConstraints(ConsulClusterSchema, readLoose(ConsulClusterSchema, fields));
  expect(problems.map(({ path, message }) => `${path}: ${message}`).join('\n')).toMatch(problem);
});

it('says where a server is wrong', () => {
  const config = { service: 'web', api_server: { url: 'http://a/consul' } };
  expect(() => readOptions(clusterOf(config))).toThrow(
    /^cluster_type.typed_config.api_server.url: must end after the port/,
  );
});

it('warns of a token in clear text', () => {
  const scene = new DiscoveryScene();
  const warnings: string[] = [];
  const context = { ...scene.context, warn: (path: string) => warnings.push(path) };
  consul.create(clusterOf({ service: 'web', api_server: { url: 'http://a', token_file: '/t' } }), context);
  expect(warnings).toEqual(['cluster_type.typed_config.api_server.url']);
});
