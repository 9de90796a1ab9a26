import { type JsonObject, readLoose, StringValueSchema, XdsMatcherSchema } from '@dragoman/api';
import {
  type ConfigError,
  defineMatchInput,
  ExtensionRegistry,
  type MatchOutcome,
  NOT_AVAILABLE,
} from '@dragoman/core';
import { compileMatchTree, connectionMatchResolver } from '@dragoman/matching';
import { connectionInfo, testContext } from '@dragoman/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { serverNameTree } from '../src/index.ts';

/** Gives its own config; `?` is not there yet, `-` never will be. */
const text = defineMatchInput({
  name: 'test.text',
  config: StringValueSchema,
  createCommon: ({ value }) => ({
    kind: 'text',
    get: () => (value === '?' ? NOT_AVAILABLE : value === '-' ? undefined : value),
    isPartial: () => value === 'partial.com',
  }),
});
const context = testContext({ extensions: new ExtensionRegistry([text, serverNameTree]) });
const TEXT = 'type.googleapis.com/google.protobuf.StringValue';
const TREE = 'type.googleapis.com/xds.type.matcher.v3.ServerNameMatcher';
const action = (name: string) => ({ action: { name } });

function outcome(name: string, domain_matchers: JsonObject[]): MatchOutcome<string> {
  const json = {
    matcher_tree: {
      input: { name: 'i', typed_config: { '@type': TEXT, value: name } },
      custom_match: { name: 'c', typed_config: { '@type': TREE, domain_matchers } },
    },
    on_no_match: action('none'),
  };
  const resolver = connectionMatchResolver(context, ({ name: found }) => found);
  return compileMatchTree(readLoose(XdsMatcherSchema, json), resolver).match({
    connection: connectionInfo(),
    filterState: undefined,
  });
}

describe('domains', () => {
  const matchers: JsonObject[] = [
    { domains: ['*.example.com'], on_match: action('suffix') },
    { domains: ['www.example.com', 'a.b.example.com'], on_match: action('exact') },
    { domains: ['*.b.example.com'], on_match: action('longer') },
    {
      domains: ['skip.example.com', '*.skip.example.com'],
      on_match: { ...action('x'), keep_matching: true },
    },
    { domains: ['*.org', 'c.d'], on_match: { matcher: {} } },
    { domains: ['é.com'], on_match: action('accent') },
  ];
  const rest = { domains: ['*'], on_match: action('rest') };
  it.each<[name: string, expected: MatchOutcome<string>, withRest: MatchOutcome<string>]>([
    ['www.example.com', 'exact', 'exact'],
    ['x.example.com', 'suffix', 'suffix'],
    ['x.y.example.com', 'suffix', 'suffix'],
    ['a.b.example.com', 'exact', 'exact'],
    ['x.b.example.com', 'longer', 'longer'],
    ['example.com', 'none', 'rest'],
    // What comes to nothing leaves it to the next one.
    ['skip.example.com', 'suffix', 'suffix'],
    ['x.skip.example.com', 'suffix', 'suffix'],
    ['a.org', 'none', 'rest'],
    ['c.d', 'none', 'rest'],
    ['WWW.example.com', 'suffix', 'suffix'],
    ['\xc3\xa9.com', 'accent', 'accent'],
    ['', 'none', 'none'],
    ['-', 'none', 'none'],
    ['?', NOT_AVAILABLE, NOT_AVAILABLE],
    ['partial.com', NOT_AVAILABLE, NOT_AVAILABLE],
  ])('%s', (name, expected, withRest) => {
    expect(outcome(name, matchers)).toBe(expected);
    expect(outcome(name, [rest, ...matchers])).toBe(withRest);
  });

  it('takes any name', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('.', 'a', 'example', 'com', '*') }), (name) => {
        expect(outcome(name, [rest, ...matchers])).toBeTypeOf('string');
      }),
    );
  });
});

it.each<[matchers: JsonObject[], path: string]>([
  [[{ on_match: action('a') }], 'domain_matchers[0].domains'],
  [[{ domains: ['a.com'] }], 'domain_matchers[0].on_match'],
  [[{ domains: [''], on_match: action('a') }], 'domain_matchers[0].domains[0]'],
  [[{ domains: ['a.com', 'a.com'], on_match: action('a') }], 'domain_matchers[0].domains[1]'],
  [[{ domains: ['a.*'], on_match: action('a') }], 'domain_matchers[0].domains[0]'],
  [[{ domains: ['*.'], on_match: action('a') }], 'domain_matchers[0].domains[0]'],
  [[{ domains: ['*a.com'], on_match: action('a') }], 'domain_matchers[0].domains[0]'],
  [[{ domains: ['*.*.com'], on_match: action('a') }], 'domain_matchers[0].domains[0]'],
  [
    [
      { domains: ['*'], on_match: action('a') },
      { domains: ['*'], on_match: action('a') },
    ],
    'domain_matchers[1].domains[0]',
  ],
])('refuses %j', (matchers, path) => {
  try {
    outcome('a', matchers);
    expect.unreachable();
  } catch (error) {
    expect((error as ConfigError).problems.map((problem) => problem.path)).toEqual([
      `matcher_tree.custom_match.typed_config.${path}`,
    ]);
  }
});
