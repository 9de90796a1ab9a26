import { IpSchema, type JsonObject, readLoose, XdsMatcherSchema } from '@dragoman/api';
import {
  defineMatchInput,
  ExtensionRegistry,
  type MatchOutcome,
  NOT_AVAILABLE,
  StreamInfo,
} from '@dragoman/core';
import { StringValueSchema } from '@dragoman/api';
import { compileMatchTree, httpMatchResolver } from '@dragoman/matching';
import { connectionInfo, testContext } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { ipMatcher, ipTree } from '../src/index.ts';

const range = (text: string) => {
  const [address_prefix = '', prefix_len = '0'] = text.split('/');
  return { address_prefix, prefix_len: Number(prefix_len) };
};

describe('ipMatcher', () => {
  const make = (ranges: string[], stat_prefix = 'ip.') => {
    const context = testContext();
    const config = readLoose(IpSchema, { cidr_ranges: ranges.map(range), stat_prefix });
    return { matcher: ipMatcher.create(config as never, context), context };
  };
  it.each<[value: string | undefined, holds: boolean, failed: number]>([
    ['10.1.2.3', true, 0],
    ['11.1.2.3', false, 0],
    ['2001:db8::7', true, 0],
    ['2001:db9::7', false, 0],
    ['', false, 0],
    ['10.1.2', false, 1],
    ['a.com', false, 1],
    ['10.1.2.3:80', false, 1],
    [undefined, false, 0],
  ])('%j: %s, failures %i', (value, holds, failed) => {
    const { matcher, context } = make(['10.0.0.0/8', '2001:db8::/32']);
    expect(matcher.matches(value)).toBe(holds);
    expect(context.stats.value('ip.ip_parsing_failed')).toBe(failed);
  });

  it.each<[json: JsonObject, message: RegExp]>([
    [{ stat_prefix: 'a' }, /^cidr_ranges: /],
    [{ cidr_ranges: [range('10.0.0.0/8')] }, /^stat_prefix: /],
    [
      { cidr_ranges: [range('10.0.0.0/8'), range('x/8')], stat_prefix: 'a' },
      /^cidr_ranges\[1\]\.address_prefix: /,
    ],
    [{ cidr_ranges: [range('10.0.0.0/40')], stat_prefix: 'a' }, /^cidr_ranges\[0\]\.prefix_len: /],
  ])('refuses %j', (json, message) => {
    expect(() => ipMatcher.create(readLoose(IpSchema, json) as never, testContext())).toThrow(message);
  });
});

describe('ipTree', () => {
  /** Gives its own config; `?` is not there yet. */
  const text = defineMatchInput({
    name: 'test.text',
    config: StringValueSchema,
    createCommon: ({ value }) => ({
      kind: 'text',
      get: () => (value === '?' ? NOT_AVAILABLE : value === '-' ? undefined : value),
      isPartial: () => value === '10.2.0.1',
    }),
  });
  const context = testContext({ extensions: new ExtensionRegistry([text, ipTree]) });
  const TEXT = 'type.googleapis.com/google.protobuf.StringValue';
  const TREE = 'type.googleapis.com/xds.type.matcher.v3.IPMatcher';
  const action = (name: string) => ({ action: { name } });
  const nothing = { matcher: {} };

  function outcome(ip: string, range_matchers: JsonObject[]): MatchOutcome<string> {
    const json = {
      matcher_tree: {
        input: { name: 'i', typed_config: { '@type': TEXT, value: ip } },
        custom_match: { name: 'c', typed_config: { '@type': TREE, range_matchers } },
      },
      on_no_match: action('none'),
    };
    const tree = compileMatchTree(
      readLoose(XdsMatcherSchema, json),
      httpMatchResolver(context, ({ name }) => name),
    );
    return tree.match({
      info: new StreamInfo(connectionInfo(), 0, 0),
      requestHeaders: undefined,
      requestTrailers: undefined,
      responseHeaders: undefined,
      responseTrailers: undefined,
    });
  }

  const matchers: JsonObject[] = [
    { ranges: [range('0.0.0.0/0')], on_match: action('all'), exclusive: true },
    { ranges: [range('10.0.0.0/8'), range('fd00::/8')], on_match: action('ten') },
    { ranges: [range('10.1.0.0/16')], on_match: nothing },
    { ranges: [range('10.1.1.0/24')], on_match: action('deep') },
    { ranges: [range('192.168.0.0/16')], on_match: nothing },
    { ranges: [range('172.16.0.0/12')], on_match: { ...action('skipped'), keep_matching: true } },
    { ranges: [range('172.16.0.0/12')], on_match: action('second') },
  ];
  it.each<[ip: string, expected: MatchOutcome<string>]>([
    ['10.1.1.1', 'deep'],
    ['10.3.1.1', 'ten'],
    ['fd12::1', 'ten'],
    // The longest prefix comes to nothing: the next one is asked.
    ['10.1.2.1', 'ten'],
    // But not one that is exclusive.
    ['192.168.1.1', 'none'],
    ['172.16.1.1', 'second'],
    ['8.8.8.8', 'all'],
    ['2001:db8::1', 'none'],
    ['a.com', 'none'],
    ['-', 'none'],
    ['?', NOT_AVAILABLE],
    ['10.2.0.1', NOT_AVAILABLE],
  ])('%s', (ip, expected) => {
    expect(outcome(ip, matchers)).toBe(expected);
  });

  it.each<[matcher: JsonObject, path: string]>([
    [{ on_match: action('a') }, 'range_matchers[0].ranges'],
    [{ ranges: [range('x/1')], on_match: action('a') }, 'range_matchers[0].ranges[0].address_prefix'],
    [{ ranges: [range('10.0.0.0/8')] }, 'range_matchers[0].on_match'],
  ])('refuses %j', (matcher, path) => {
    expect(() => outcome('10.0.0.1', [matcher])).toThrow(`matcher_tree.custom_match.typed_config.${path}: `);
  });
});
