import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type LoadedConfig, type Bootstrap, loadConfig } from '@dragoman/api';
import { ConfigError } from '@dragoman/core';
import { upstreamCodec } from '@dragoman/http';
import { describe, expect, test } from 'vitest';
import { validateBootstrap } from '../src/index.ts';
import { EXTENSIONS } from './extensions.ts';

/** Bootstraps of Envoy's own examples, kept beside the repository. */
const FOLDER = fileURLToPath(new URL('../../../../../shared/conformance/envoy-configs/', import.meta.url));

/** This assembly has no TLS; with the sidecar's extensions these files run in `test-e2e/front-proxy.test.ts`. */
const TLS = '@dragoman/transport-socket-tls would provide it';
const TRACING = 'tracing: tracing is not supported yet';

/**
 * What is refused in each file, one text a problem; empty: it validates. A problem that is not foreseen here fails the
 * test, and so does one that has gone: then the list gets shorter.
 */
const REFUSED: Readonly<Record<string, readonly string[]>> = {
  'cache-envoy.yaml': ['@dragoman/http-filter-cache would provide it'],
  'cors-backend-envoy.yaml': ['@dragoman/http-filter-cors would provide it'],
  'cors-frontend-envoy.yaml': ['@dragoman/http-filter-cors would provide it'],
  'datadog-tracing-envoy.yaml': [TRACING, '@dragoman/http-filter-health-check would provide it'],
  'dynamic-config-cp-envoy.yaml': [],
  'fault-injection-envoy.yaml': ['@dragoman/http-filter-fault would provide it'],
  'front-proxy-service-envoy-2.yaml': [],
  'front-proxy-service-envoy.yaml': [],
  'jaeger-tracing-envoy.yaml': [TRACING],
  'jaeger-tracing-service1-envoy-jaeger.yaml': [TRACING],
  'jaeger-tracing-service2-envoy-jaeger.yaml': [TRACING],
  'kafka-envoy.yaml': ['unknown type envoy.extensions.filters.network.kafka_broker.v3.KafkaBroker'],
  'load-reporting-service-envoy.yaml': [],
  'lua-cluster-specifier-envoy.yaml': ['@dragoman/cluster-specifier-lua would provide it'],
  'lua-envoy.yaml': ['@dragoman/http-filter-lua would provide it'],
  'mysql-envoy.yaml': ['unknown type envoy.extensions.filters.network.mysql_proxy.v3.MySQLProxy'],
  'opentelemetry-envoy-1.yaml': [TRACING],
  'opentelemetry-envoy-2.yaml': [TRACING],
  'opentelemetry-envoy-front-proxy.yaml': [TRACING],
  'postgres-envoy.yaml': [
    'unknown type envoy.extensions.filters.network.postgres_proxy.v3alpha.PostgresProxy',
  ],
  'redis-envoy.yaml': [
    '@dragoman/load-balancer-maglev would provide it',
    '@dragoman/network-filter-redis-proxy would provide it',
  ],
  'skywalking-envoy-front-proxy.yaml': [
    TRACING,
    'start_child_span: start_child_span of envoy.extensions.filters.http.router.v3.Router is not supported yet',
  ],
  'tls-envoy-http-https.yaml': [TLS],
  'tls-envoy-https-passthrough.yaml': [],
  'tls-sni-envoy-client.yaml': [TLS],
  'tls-sni-envoy.yaml': [TLS],
  'wasm-cc-envoy.yaml': ['@dragoman/http-filter-wasm would provide it'],
};

describe.skipIf(!existsSync(FOLDER))('bootstraps that people really run', () => {
  test('each has its line in the list', () => {
    const files = readdirSync(FOLDER).filter((name) => name.endsWith('.yaml'));
    expect(files.sort()).toEqual(Object.keys(REFUSED).sort());
  });

  test.each(Object.entries(REFUSED))('%s', async (file, refused) => {
    const problems = await problemsOf(`${FOLDER}${file}`);
    const unforeseen = problems.filter(({ text }) => !refused.some((part) => text.includes(part)));
    expect(unforeseen).toEqual([]);
    const gone = refused.filter((part) => !problems.some(({ text }) => text.includes(part)));
    expect(gone).toEqual([]);
    for (const { located } of problems) expect(located).toBe(true);
  });
});

/** Every problem as `path: message`, and whether it has a line. */
async function problemsOf(file: string): Promise<readonly { text: string; located: boolean }[]> {
  try {
    const bootstrap = loadConfig({ file }) as LoadedConfig<Bootstrap>;
    await validateBootstrap({ bootstrap, extensions: [...EXTENSIONS, upstreamCodec] });
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ path, message, line }) => ({
      text: `${path}: ${message}`,
      located: line !== undefined,
    }));
  }
}
