import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkConstraints, ClusterSchema, KubernetesClusterSchema, readLoose } from '@dragoman/api';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readOptions } from '../src/config.ts';
import { clusterOf } from './support/scene.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'serviceaccount-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const IN_POD = { KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '443' };

it('finds server, account and namespace of its pod', () => {
  writeFileSync(join(folder, 'namespace'), 'shop\n');
  expect(readOptions(clusterOf({ service: 'web' }), { env: IN_POD, folder })).toMatchObject({
    server: {
      origin: 'https://10.96.0.1',
      caFile: join(folder, 'ca.crt'),
      tokenFile: join(folder, 'token'),
    },
    namespace: 'shop',
    labelSelector: 'kubernetes.io/service-name=web',
    watchMs: 300_000,
    pageSize: 100,
    maxEndpoints: 50_000,
  });
  const v6 = { ...IN_POD, KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443' };
  expect(readOptions(clusterOf({ service: 'web' }), { env: v6, folder }).server.origin).toBe(
    'https://[fd00::1]:6443',
  );
});

it('says what is missing outside a pod, all of it', () => {
  expect(() => readOptions(clusterOf({}), { env: {}, folder })).toThrow(
    new RegExp(
      [
        /cluster_type.typed_config.service: is missing; give it, or a label_selector/,
        /cluster_type.typed_config.api_server.url: is missing; inside a pod KUBERNETES_SERVICE_HOST/,
        /cluster_type.typed_config.namespace: is missing, and this is no pod: ENOENT/,
      ]
        .map(({ source }) => source)
        .join('[^]*'),
    ),
  );
});

it('does not put a namespace into a URL that is none', () => {
  writeFileSync(join(folder, 'namespace'), '../../secrets');
  expect(() => readOptions(clusterOf({ service: 'web' }), { env: IN_POD, folder })).toThrow(
    /is no namespace/,
  );
});

it('takes a selector in place of a service', () => {
  const config = { namespace: 'a', label_selector: 'app=web', api_server: { url: 'https://k8s' } };
  expect(readOptions(clusterOf(config), { env: {}, folder }).labelSelector).toBe('app=web');
});

it.each([
  [{ service: 'Web' }, /^service: must match/],
  [{ namespace: 'a/b' }, /^namespace: must match/],
  [{ port_number: 70_000 }, /^port_number: /],
  [{ port_name: '' }, /^port_name: /],
  [{ watch_timeout: '0.1s' }, /^watch_timeout: /],
  [{ page_size: 0 }, /^page_size: /],
  [{ api_server: { max_response_bytes: 1 } }, /^api_server.max_response_bytes: /],
])('is checked: %j', (fields, problem) => {
  const problems = checkConstraints(KubernetesClusterSchema, readLoose(KubernetesClusterSchema, fields));
  expect(problems.map(({ path, message }) => `${path}: ${message}`).join('\n')).toMatch(problem);
});

it('refuses endpoints that nobody would look at, and a config of another type', () => {
  const cluster = { ...(clusterOf({ service: 'web' }) as object), loadAssignment: { endpoints: [] } };
  expect(() => readOptions(cluster as never)).toThrow(/^load_assignment: /);
  const other = readLoose(ClusterSchema, {
    name: 'x',
    cluster_type: { name: 'dragoman.clusters.kubernetes' },
  });
  expect(() => readOptions(other)).toThrow(
    /typed_config: is missing; expected dragoman.clusters.kubernetes.v1/,
  );
});
