import { create, durationFromMs, TcpProxySchema } from '@dragoman/api';
import type { ConfigError } from '@dragoman/core';
import { testContext } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../src/config.ts';
import type { ProxyConfig } from './fakes.ts';

const parse = (config: ProxyConfig) =>
  parseConfig(
    create(TcpProxySchema, {
      statPrefix: 'p',
      clusterSpecifier: { case: 'cluster', value: 'service' },
      ...config,
    }),
    testContext(),
  );

function problemsOf(config: ProxyConfig): string[] {
  try {
    parse(config);
  } catch (error) {
    return (error as ConfigError).problems.map(({ path }) => path);
  }
  return [];
}

describe('defaults', () => {
  test('are those of Envoy', () => {
    expect(parse({})).toMatchObject({
      idleTimeoutMs: 3_600_000,
      maxConnectAttempts: 1,
      maxDurationMs: 0,
      hash: undefined,
      logOnConnected: false,
      logIntervalMs: 0,
    });
  });

  test('an idle timeout of 0 turns it off', () => {
    expect(parse({ idleTimeout: durationFromMs(0) }).idleTimeoutMs).toBe(0);
  });
});

describe('what is refused, with its path', () => {
  test.each<[string, ProxyConfig, string]>([
    ['no stat prefix', { statPrefix: '' }, 'stat_prefix'],
    ['no cluster', { clusterSpecifier: { case: undefined } }, ''],
    ['an empty cluster name', { clusterSpecifier: { case: 'cluster', value: '' } }, 'cluster'],
    [
      'no weighted cluster',
      { clusterSpecifier: { case: 'weightedClusters', value: { clusters: [] } } },
      'weighted_clusters.clusters',
    ],
    [
      'a weight of 0',
      { clusterSpecifier: { case: 'weightedClusters', value: { clusters: [{ name: 'a', weight: 0 }] } } },
      'weighted_clusters.clusters[0].weight',
    ],
    ['tunnelling', { tunnelingConfig: { hostname: 'x' } }, 'tunneling_config'],
    ['on-demand clusters', { onDemand: {} }, 'on_demand'],
    ['backoff', { backoffOptions: {} }, 'backoff_options'],
    ['the downstream idle timeout', { downstreamIdleTimeout: durationFromMs(1) }, 'downstream_idle_timeout'],
    ['the upstream idle timeout', { upstreamIdleTimeout: durationFromMs(1) }, 'upstream_idle_timeout'],
    ['no connect attempt', { maxConnectAttempts: 0 }, 'max_connect_attempts'],
    [
      'a duration of 0',
      { maxDownstreamConnectionDuration: durationFromMs(0) },
      'max_downstream_connection_duration',
    ],
    [
      'a hash of filter state without a key',
      { hashPolicy: [{ policySpecifier: { case: 'filterState', value: { key: '' } } }] },
      'hash_policy[0].filter_state.key',
    ],
    ['a hash of nothing', { hashPolicy: [{}] }, 'hash_policy[0]'],
    [
      'two hash policies',
      { hashPolicy: [1, 2].map(() => ({ policySpecifier: { case: 'sourceIp' as const, value: {} } })) },
      'hash_policy',
    ],
    [
      'log options beside the fields they replace',
      { accessLogOptions: {}, flushAccessLogOnConnected: true },
      'access_log_options',
    ],
    [
      'a log interval of 0',
      { accessLogOptions: { accessLogFlushInterval: durationFromMs(0) } },
      'access_log_options.access_log_flush_interval',
    ],
    [
      'jitter above 100 percent',
      { maxDownstreamConnectionDurationJitterPercentage: { value: 101 } },
      'max_downstream_connection_duration_jitter_percentage',
    ],
    [
      'typed metadata',
      { metadataMatch: { typedFilterMetadata: { 'envoy.lb': { typeUrl: 'x' } } } },
      'metadata_match.typed_filter_metadata',
    ],
  ])('%s', (_name, config, path) => {
    expect(problemsOf(config)).toEqual([path]);
  });

  test('all problems come at once', () => {
    expect(problemsOf({ statPrefix: '', onDemand: {}, maxConnectAttempts: 0 }).sort()).toEqual([
      'max_connect_attempts',
      'on_demand',
      'stat_prefix',
    ]);
  });
});
