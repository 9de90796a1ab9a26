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
    'envoy.internal_redirect_predicates.allow_listed_routes',
    'envoy.internal_redirect_predicates.previous_routes',
    'envoy.internal_redirect_predicates.safe_cross_scheme',
    'envoy.load_balancing_policies.round_robin',
    'envoy.matching.common_inputs.environment_variable',
    'envoy.matching.custom_matchers.domain_matcher',
    'envoy.matching.custom_matchers.trie_matcher',
    'envoy.matching.inputs.application_protocol',
    'envoy.matching.inputs.destination_ip',
    'envoy.matching.inputs.destination_port',
    'envoy.matching.inputs.direct_source_ip',
    'envoy.matching.inputs.dns_san',
    'envoy.matching.inputs.dynamic_metadata',
    'envoy.matching.inputs.filter_state',
    'envoy.matching.inputs.query_params',
    'envoy.matching.inputs.request_headers',
    'envoy.matching.inputs.request_trailers',
    'envoy.matching.inputs.response_headers',
    'envoy.matching.inputs.response_trailers',
    'envoy.matching.inputs.server_name',
    'envoy.matching.inputs.source_ip',
    'envoy.matching.inputs.source_port',
    'envoy.matching.inputs.source_type',
    'envoy.matching.inputs.status_code_class_input',
    'envoy.matching.inputs.status_code_input',
    'envoy.matching.inputs.subject',
    'envoy.matching.inputs.transport_protocol',
    'envoy.matching.inputs.uri_san',
    'envoy.matching.matchers.consistent_hashing',
    'envoy.matching.matchers.ip',
    'envoy.matching.matchers.metadata_matcher',
    'envoy.matching.matchers.runtime_fraction',
    'envoy.network.dns_resolver.cares',
    'envoy.path.match.uri_template.uri_template_matcher',
    'envoy.path.rewrite.uri_template.uri_template_rewriter',
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
