import type { Extension, ListenerFilterExtension, LogContext } from '@dragoman/core';
import { environmentVariableInput } from '@dragoman/matcher-environment-variable';
import { ipTree } from '@dragoman/matcher-ip';
import {
  applicationProtocolInput,
  destinationPortInput,
  filterStateInput,
  serverNameInput,
  sourceIpInput,
  sourceTypeInput,
  transportProtocolInput,
} from '@dragoman/matcher-network-inputs';
import { serverNameTree } from '@dragoman/matcher-server-name';
import { uriSanInput } from '@dragoman/matcher-ssl-inputs';
import { eventually, exchange, type JsonObject, localAddress, startProxy } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { captureLogger, EXTENSIONS, says } from './extensions.ts';

/** Says what a TLS inspector would: no bytes are looked at. */
const inspector: ListenerFilterExtension = {
  category: 'listener-filters',
  name: 'test.inspector',
  create: () => () => ({
    maxReadBytes: 0,
    onAccept({ info }) {
      info.requestedServerName = 'www.example.com';
      info.applicationProtocols = ['h2', 'http/1.1'];
      return 'continue';
    },
  }),
};

const extensions: readonly Extension[] = [
  ...EXTENSIONS,
  inspector,
  sourceIpInput,
  sourceTypeInput,
  destinationPortInput,
  serverNameInput,
  transportProtocolInput,
  applicationProtocolInput,
  filterStateInput,
  uriSanInput,
  environmentVariableInput,
  ipTree,
  serverNameTree,
];

const TYPE = 'type.googleapis.com/';
const INPUTS = `${TYPE}envoy.extensions.matching.common_inputs`;
const network = (type: string, more: JsonObject = {}): JsonObject => ({
  name: 'i',
  typed_config: { '@type': `${INPUTS}.network.v3.${type}`, ...more },
});
const to = (value: string): JsonObject => ({
  action: {
    name: 'filter-chain-name',
    typed_config: { '@type': `${TYPE}google.protobuf.StringValue`, value },
  },
});
const map = (input: JsonObject, entries: Readonly<Record<string, JsonObject>>): JsonObject => ({
  matcher_tree: { input, exact_match_map: { map: entries } },
});
const chain = (name: string, match?: JsonObject): JsonObject => ({ ...says(name, match), name });

const listener = (filter_chain_matcher: JsonObject, more: JsonObject = {}): JsonObject => ({
  static_resources: {
    listeners: [
      {
        name: 'one',
        stat_prefix: 'one',
        address: localAddress(),
        filter_chains: [chain('a'), chain('b')],
        default_filter_chain: says('default'),
        filter_chain_matcher,
        ...more,
      },
    ],
  },
});

describe('filter_chain_matcher', () => {
  const INSPECTED: JsonObject = { listener_filters: [{ name: 'test.inspector' }] };
  const domains = {
    name: 'c',
    typed_config: {
      '@type': `${TYPE}xds.type.matcher.v3.ServerNameMatcher`,
      domain_matchers: [
        { domains: ['*.example.com'], on_match: to('a') },
        { domains: ['*'], on_match: to('b') },
      ],
    },
  };
  const ranges = {
    name: 'c',
    typed_config: {
      '@type': `${TYPE}xds.type.matcher.v3.IPMatcher`,
      range_matchers: [{ ranges: [{ address_prefix: '127.0.0.0', prefix_len: 8 }], on_match: to('b') }],
    },
  };
  test.each<[what: string, matcher: JsonObject, more: JsonObject, said: string]>([
    ['a name', { on_no_match: to('b') }, {}, 'b'],
    ['nothing', {}, {}, 'default'],
    ['the source IP', map(network('SourceIPInput'), { '127.0.0.1': to('a') }), {}, 'a'],
    ['a source IP that is another', map(network('SourceIPInput'), { '10.0.0.1': to('a') }), {}, 'default'],
    ['the source type', map(network('SourceTypeInput'), { local: to('a') }), {}, 'a'],
    ['the transport protocol', map(network('TransportProtocolInput'), { raw_buffer: to('a') }), {}, 'a'],
    ['networks', { matcher_tree: { input: network('SourceIPInput'), custom_match: ranges } }, {}, 'b'],
    [
      'a server name',
      { matcher_tree: { input: network('ServerNameInput'), custom_match: domains } },
      INSPECTED,
      'a',
    ],
    [
      'no server name',
      { matcher_tree: { input: network('ServerNameInput'), custom_match: domains } },
      {},
      'default',
    ],
    ['protocols', map(network('ApplicationProtocolInput'), { "'h2','http/1.1'": to('b') }), INSPECTED, 'b'],
    [
      'filter state that nobody set',
      map(network('FilterStateInput', { key: 'k' }), { v: to('a') }),
      {},
      'default',
    ],
    [
      // Before TLS has begun it cannot be told.
      'a certificate',
      {
        ...map({ name: 'i', typed_config: { '@type': `${INPUTS}.ssl.v3.UriSanInput` } }, { v: to('a') }),
        on_no_match: to('b'),
      },
      {},
      'default',
    ],
    [
      'an environment variable',
      map(
        {
          name: 'i',
          typed_config: { '@type': `${INPUTS}.environment_variable.v3.Config`, name: 'DRAGOMAN_NOT_SET' },
        },
        { v: to('a') },
      ),
      {},
      'default',
    ],
    [
      'a list, and a nested tree',
      {
        matcher_list: {
          matchers: [
            {
              predicate: {
                and_matcher: {
                  predicate: [
                    {
                      single_predicate: { input: network('SourceIPInput'), value_match: { prefix: '127.' } },
                    },
                    {
                      not_matcher: {
                        single_predicate: {
                          input: network('ServerNameInput'),
                          value_match: { suffix: '.com' },
                        },
                      },
                    },
                  ],
                },
              },
              on_match: { matcher: map(network('DestinationPortInput'), { 1: to('a') }) },
            },
            {
              predicate: {
                single_predicate: {
                  input: network('SourceIPInput'),
                  value_match: { safe_regex: { google_re2: {}, regex: '.*' } },
                },
              },
              on_match: to('b'),
            },
          ],
        },
      },
      {},
      'b',
    ],
  ])('%s', async (_, matcher, more, said) => {
    await using proxy = await startProxy(listener(matcher, more), { extensions });
    expect(await exchange({ port: proxy.port })).toBe(said);
  });

  test('the name of no chain closes the connection, and is warned of', async () => {
    const logged: LogContext[] = [];
    await using proxy = await startProxy(
      listener({ on_no_match: to('c') }, { access_log: [{ name: 'capture' }] }),
      { extensions: [...extensions, captureLogger(logged)] },
    );
    expect(await exchange({ port: proxy.port }).catch(() => '')).toBe('');
    await eventually(() => logged.length === 1);
    expect(proxy.stat('listener.one.no_filter_chain_match')).toBe(1);
    expect(logged[0]?.info.responseCodeDetails).toBe('filter_chain_not_found');
    expect(proxy.log.find('no filter chain is named "c"')).toHaveLength(1);
  });

  test.each<[what: string, matcher: JsonObject, more: JsonObject, text: string]>([
    [
      'a chain without a name',
      { on_no_match: to('a') },
      { filter_chains: [chain('a'), says('x')] },
      'filter_chains[1].name: is required: filter_chain_matcher chooses chains by their names',
    ],
    [
      'two chains of a name',
      { on_no_match: to('a') },
      { filter_chains: [chain('a'), chain('a')] },
      'filter_chains[1].name: "a" is the name of a chain before it',
    ],
    [
      'a chain with a match',
      { on_no_match: to('a') },
      { filter_chains: [chain('a', { destination_port: 1 })] },
      'filter_chains[0].filter_chain_match: cannot be used with filter_chain_matcher',
    ],
    [
      'another action',
      {
        on_no_match: {
          action: { name: 'x', typed_config: { '@type': `${TYPE}google.protobuf.BoolValue`, value: true } },
        },
      },
      {},
      'filter_chain_matcher.on_no_match.action.typed_config: expected the name of a filter chain as google.protobuf.StringValue, found google.protobuf.BoolValue',
    ],
    [
      'a network namespace',
      map(network('NetworkNamespaceInput'), { a: to('a') }),
      {},
      'NetworkNamespaceInput is not supported: it has nothing to match on',
    ],
    [
      'an input that is not there',
      map(
        {
          name: 'i',
          typed_config: {
            '@type': `${TYPE}envoy.type.matcher.v3.HttpRequestHeaderMatchInput`,
            header_name: 'a',
          },
        },
        { a: to('a') },
      ),
      {},
      'filter_chain_matcher.matcher_tree.input.typed_config: unknown extension "i"',
    ],
  ])('%s: refused', async (_, matcher, more, text) => {
    await expect(startProxy(listener(matcher, more), { extensions })).rejects.toThrow(text);
  });
});
