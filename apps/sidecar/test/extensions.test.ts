import { ExtensionRegistry } from '@dragoman/core';
import { createProxy as fromServer } from '@dragoman/server';
import { expect, test } from 'vitest';
import { createProxy, extensions } from '../src/index.ts';

test('the assembly has each of these once, under Envoy’s names', () => {
  const { extensions: all } = new ExtensionRegistry(extensions);
  expect(all.map(({ name }) => name).sort()).toEqual([
    'envoy.access_loggers.file',
    'envoy.access_loggers.stderr',
    'envoy.access_loggers.stdout',
    'envoy.cluster.logical_dns',
    'envoy.cluster.static',
    'envoy.cluster.strict_dns',
    'envoy.filters.http.router',
    'envoy.filters.network.direct_response',
    'envoy.filters.network.echo',
    'envoy.filters.network.http_connection_manager',
    'envoy.filters.network.tcp_proxy',
    'envoy.formatter.all_headers',
    'envoy.formatter.metadata',
    'envoy.formatter.req_without_query',
    'envoy.http.early_header_mutation.header_mutation',
    'envoy.http.original_ip_detection.custom_header',
    'envoy.http.original_ip_detection.xff',
    'envoy.http.stateful_header_formatters.preserve_case',
    'envoy.load_balancing_policies.round_robin',
    'envoy.network.dns_resolver.cares',
    'envoy.request_id.uuid',
    'envoy.retry_host_predicates.omit_canary_hosts',
    'envoy.retry_host_predicates.omit_host_metadata',
    'envoy.retry_host_predicates.previous_hosts',
    'envoy.retry_priorities.previous_priorities',
    'envoy.transport_sockets.raw_buffer',
  ]);
});

test('a program gets what it needs to embed a proxy', () => {
  expect(createProxy).toBe(fromServer);
});
