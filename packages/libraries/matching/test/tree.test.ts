import {
  type MatcherConfig,
  compileMatchTree,
  type MatchTreeResolver,
  type NamedExtension,
} from '../src/index.ts';
import { MatcherSchema, readLoose, XdsMatcherSchema } from '@dragoman/api';
import {
  ConfigError,
  type MatchInput,
  type MatchOutcome,
  type MetadataValue,
  NOT_AVAILABLE,
  type NotAvailable,
} from '@dragoman/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

/** By the names of inputs. A text that ends with `~` is not all that there will be. */
type Data = Readonly<Record<string, string | NotAvailable | undefined>>;

const resolver: MatchTreeResolver<Data, string> = {
  input: ({ name }) => input(name),
  valueMatcher: ({ name }) =>
    name === 'of-value'
      ? { takes: 'value', matches: (value) => value === undefined }
      : { takes: 'text', matches: (value) => String(value).length === Number(name) },
  tree: ({ name }, { input: from, onNoMatch, onMatch }) => {
    const child = onMatch({ onMatch: { case: 'action', value: { name: `custom-${name}` } } }, 'inside');
    return { match: (data, skipped) => (from.get(data) === name ? child : onNoMatch).match(data, skipped) };
  },
  action: ({ name }: NamedExtension) => {
    if (name === 'broken') throw ConfigError.at('typed_config', 'is broken');
    return name;
  },
};

function input(name: string): MatchInput<Data> {
  if (name === 'value') return { kind: 'value', get: (): MetadataValue | undefined => undefined };
  return {
    kind: 'text',
    get: (data) => data[name],
    isPartial: (data) => {
      const value = data[name];
      return typeof value === 'string' && value.endsWith('~');
    },
  };
}

/** `action: x` and `input: x` in the short form of these tests become extensions of that name. */
function expand(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(expand);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      ['action', 'input', 'custom_match'].includes(key) && typeof inner === 'string'
        ? { name: inner }
        : expand(inner),
    ]),
  );
}

function tree(yaml: string) {
  const config: MatcherConfig = readLoose(XdsMatcherSchema, expand(parse(yaml)) as never);
  return compileMatchTree(config, resolver);
}

function outcome(yaml: string, data: Data): MatchOutcome<string> {
  return tree(yaml).match(data);
}

const single = (name: string, exact: string) =>
  `{ single_predicate: { input: ${name}, value_match: { exact: "${exact}" } } }`;
const only = (predicate: string) =>
  `{ matcher_list: { matchers: [{ predicate: ${predicate}, on_match: { action: yes } }] }, on_no_match: { action: no } }`;

describe('predicates', () => {
  const A1 = single('a', '1');
  const B1 = single('b', '1');
  it.each<[predicate: string, data: Data, expected: MatchOutcome<string>]>([
    [A1, { a: '1' }, 'yes'],
    [A1, { a: '2' }, 'no'],
    [A1, {}, 'no'],
    [A1, { a: NOT_AVAILABLE }, NOT_AVAILABLE],
    [A1, { a: '1~' }, NOT_AVAILABLE],
    [single('a', '1~'), { a: '1~' }, 'yes'],
    [`{ not_matcher: ${A1} }`, { a: '1' }, 'no'],
    [`{ not_matcher: ${A1} }`, {}, 'yes'],
    [`{ not_matcher: ${A1} }`, { a: NOT_AVAILABLE }, NOT_AVAILABLE],
    [`{ or_matcher: { predicate: [${A1}, ${B1}] } }`, { b: '1' }, 'yes'],
    [`{ or_matcher: { predicate: [${A1}, ${B1}] } }`, { a: '2', b: '2' }, 'no'],
    [`{ or_matcher: { predicate: [${A1}, ${B1}] } }`, { a: NOT_AVAILABLE, b: '1' }, 'yes'],
    [`{ or_matcher: { predicate: [${A1}, ${B1}] } }`, { a: NOT_AVAILABLE, b: '2' }, NOT_AVAILABLE],
    [`{ and_matcher: { predicate: [${A1}, ${B1}] } }`, { a: '1', b: '1' }, 'yes'],
    [`{ and_matcher: { predicate: [${A1}, ${B1}] } }`, { a: '1' }, 'no'],
    [`{ and_matcher: { predicate: [${A1}, ${B1}] } }`, { a: '2', b: NOT_AVAILABLE }, 'no'],
    [`{ and_matcher: { predicate: [${A1}, ${B1}] } }`, { a: NOT_AVAILABLE, b: '2' }, NOT_AVAILABLE],
    ['{ single_predicate: { input: a, custom_match: "3" } }', { a: 'abc' }, 'yes'],
    ['{ single_predicate: { input: a, custom_match: "3" } }', { a: 'ab' }, 'no'],
    ['{ single_predicate: { input: a, custom_match: "9" } }', {}, 'no'],
    ['{ single_predicate: { input: value, custom_match: of-value } }', {}, 'yes'],
    [
      '{ single_predicate: { input: a, value_match: { prefix: AB, ignore_case: true } } }',
      { a: 'abc' },
      'yes',
    ],
    ['{ single_predicate: { input: a, value_match: { safe_regex: { regex: "a+" } } } }', { a: 'aa' }, 'yes'],
    ['{ single_predicate: { input: a, value_match: { exact: é } } }', { a: '\xc3\xa9' }, 'yes'],
  ])('%s of %j', (predicate, data, expected) => {
    expect(outcome(only(predicate), data)).toBe(expected);
  });
});

describe('a list', () => {
  const nested = `
    matcher_list: { matchers: [{ predicate: ${single('b', '1')}, on_match: { action: deep } }] }
  `;
  const yaml = (more: string) => `
    matcher_list:
      matchers:
      - { predicate: ${single('a', '1')}, on_match: { matcher: { ${nested.trim()} } } }
      - { predicate: ${single('a', '1')}, on_match: { action: second, keep_matching: ${more} } }
      - { predicate: ${single('c', '1')}, on_match: { action: third } }
    on_no_match: { action: none }
  `;
  it.each<[keep: boolean, data: Data, expected: MatchOutcome<string>, skipped: string[]]>([
    [false, { a: '1', b: '1' }, 'deep', []],
    // A nested tree without an outcome is none: the list goes on.
    [false, { a: '1' }, 'second', []],
    [true, { a: '1', c: '1' }, 'third', ['second']],
    [true, { a: '1' }, 'none', ['second']],
    [false, {}, 'none', []],
    [false, { a: NOT_AVAILABLE, c: '1' }, NOT_AVAILABLE, []],
    [false, { a: '1', b: NOT_AVAILABLE }, NOT_AVAILABLE, []],
  ])('keep_matching %s of %j', (keep, data, expected, skipped) => {
    const told: string[] = [];
    expect(tree(yaml(String(keep))).match(data, (action) => told.push(action))).toBe(expected);
    expect(told).toEqual(skipped);
    expect(tree(yaml(String(keep))).match(data)).toBe(expected);
  });

  it('skips what a nested tree with keep_matching comes to', () => {
    const told: string[] = [];
    const made = tree(`
      matcher_list:
        matchers:
        - predicate: ${single('a', '1')}
          on_match: { matcher: { on_no_match: { action: inner } }, keep_matching: true }
      on_no_match: { action: outer }
    `);
    expect(made.match({ a: '1' }, (action) => told.push(action))).toBe('outer');
    expect(told).toEqual(['inner']);
  });
});

describe('a map', () => {
  const exact = `
    matcher_tree:
      input: a
      exact_match_map:
        map:
          x: { action: x }
          é: { action: accent }
          n: { matcher: { matcher_tree: { input: b, exact_match_map: { map: { y: { action: ny } } } } } }
    on_no_match: { action: none }
  `;
  const prefix = `
    matcher_tree:
      input: a
      prefix_match_map:
        map:
          "": { action: empty }
          /a: { action: a }
          /a/b: { matcher: { matcher_tree: { input: b, exact_match_map: { map: { y: { action: ab } } } } } }
          /s: { action: s, keep_matching: true }
  `;
  it.each<[name: string, yaml: string, data: Data, expected: MatchOutcome<string>]>([
    ['exact', exact, { a: 'x' }, 'x'],
    ['exact', exact, { a: 'xx' }, 'none'],
    ['exact', exact, { a: '\xc3\xa9' }, 'accent'],
    ['exact', exact, {}, 'none'],
    ['exact', exact, { a: NOT_AVAILABLE }, NOT_AVAILABLE],
    ['exact', exact, { a: 'x~' }, NOT_AVAILABLE],
    ['exact', exact, { a: 'n', b: 'y' }, 'ny'],
    ['exact', exact, { a: 'n', b: 'z' }, 'none'],
    ['exact', exact, { a: 'n', b: NOT_AVAILABLE }, NOT_AVAILABLE],
    ['prefix', prefix, { a: '/a/b/c', b: 'y' }, 'ab'],
    // A shorter prefix takes what the longer one's tree has nothing for.
    ['prefix', prefix, { a: '/a/b/c', b: 'z' }, 'a'],
    ['prefix', prefix, { a: '/ab' }, 'a'],
    ['prefix', prefix, { a: '/' }, 'empty'],
    ['prefix', prefix, { a: '/s' }, 'empty'],
    ['prefix', prefix, {}, undefined],
    ['prefix', prefix, { a: '/a/b', b: NOT_AVAILABLE }, NOT_AVAILABLE],
  ])('%s: %#', (_name, yaml, data, expected) => {
    expect(outcome(yaml, data)).toBe(expected);
  });

  it('may be of a kind of its own', () => {
    const yaml = '{ matcher_tree: { input: a, custom_match: q }, on_no_match: { action: none } }';
    expect(outcome(yaml, { a: 'q' })).toBe('custom-q');
    expect(outcome(yaml, { a: 'r' })).toBe('none');
  });
});

it('without a matcher comes to what stands for no match', () => {
  expect(outcome('{ on_no_match: { action: all } }', {})).toBe('all');
  expect(outcome('{}', {})).toBe(undefined);
});

it("reads Envoy's older message too", () => {
  const yaml = only(single('a', '1'));
  const config = readLoose(MatcherSchema, expand(parse(yaml)) as never);
  expect(compileMatchTree(config, resolver).match({ a: '1' })).toBe('yes');
});

describe('a tree is refused', () => {
  it.each<[yaml: string, path: string]>([
    ['{ matcher_list: {} }', 'matcher_list.matchers'],
    ['{ matcher_list: { matchers: [{ on_match: { action: a } }] } }', 'matcher_list.matchers[0].predicate'],
    [
      '{ matcher_list: { matchers: [{ predicate: {}, on_match: { action: a } }] } }',
      'matcher_list.matchers[0].predicate',
    ],
    [
      `{ matcher_list: { matchers: [{ predicate: ${single('a', '1')} }] } }`,
      'matcher_list.matchers[0].on_match',
    ],
    [
      only('{ single_predicate: { value_match: { exact: a } } }'),
      'matcher_list.matchers[0].predicate.single_predicate.input',
    ],
    [only('{ single_predicate: { input: a } }'), 'matcher_list.matchers[0].predicate.single_predicate'],
    [
      only('{ single_predicate: { input: a, value_match: { safe_regex: { regex: "(" } } } }'),
      'matcher_list.matchers[0].predicate.single_predicate.value_match.safe_regex.regex',
    ],
    [
      only('{ single_predicate: { input: value, value_match: { exact: a } } }'),
      'matcher_list.matchers[0].predicate.single_predicate',
    ],
    [
      only('{ single_predicate: { input: a, custom_match: of-value } }'),
      'matcher_list.matchers[0].predicate.single_predicate',
    ],
    [
      only(`{ and_matcher: { predicate: [${single('a', '1')}] } }`),
      'matcher_list.matchers[0].predicate.and_matcher.predicate',
    ],
    [
      only(`{ not_matcher: { or_matcher: { predicate: [${single('a', '1')}, {}] } } }`),
      'matcher_list.matchers[0].predicate.not_matcher.or_matcher.predicate[1]',
    ],
    ['{ matcher_tree: { exact_match_map: { map: { a: { action: a } } } } }', 'matcher_tree.input'],
    ['{ matcher_tree: { input: a } }', 'matcher_tree'],
    ['{ matcher_tree: { input: a, exact_match_map: {} } }', 'matcher_tree.exact_match_map.map'],
    [
      '{ matcher_tree: { input: a, prefix_match_map: { map: { "x.y": {} } } } }',
      'matcher_tree.prefix_match_map.map["x.y"]',
    ],
    [
      '{ matcher_tree: { input: value, exact_match_map: { map: { a: { action: a } } } } }',
      'matcher_tree.input',
    ],
    ['{ on_no_match: { action: broken } }', 'on_no_match.action.typed_config'],
    ['{ on_no_match: { matcher: { on_no_match: {} } } }', 'on_no_match.matcher.on_no_match'],
  ])('%s', (yaml, path) => {
    try {
      tree(yaml);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigError);
      expect((error as ConfigError).problems.map((problem) => problem.path)).toEqual([path]);
    }
  });
});

describe('any tree', () => {
  const name = fc.constantFrom('a', 'b', 'value');
  const extension = fc.record({ name: fc.constantFrom('a', 'b', 'value', '3', 'of-value', 'broken') });
  const { matcher } = fc.letrec((tie) => ({
    onMatch: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.record({ action: extension, keep_matching: fc.boolean() }),
      fc.constant({}),
      fc.record({ matcher: tie('matcher') }),
    ),
    predicate: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.record({
        single_predicate: fc.oneof(
          fc.record({
            input: fc.record({ name }),
            value_match: fc.record({ exact: fc.constantFrom('1', '') }),
          }),
          fc.record({
            input: fc.record({ name }),
            value_match: fc.record({ prefix: fc.constantFrom('1', '') }),
          }),
          fc.record({ input: fc.record({ name }), custom_match: extension }),
          fc.constant({}),
        ),
      }),
      fc.record({ not_matcher: tie('predicate') }),
      fc.record({ or_matcher: fc.record({ predicate: fc.array(tie('predicate'), { maxLength: 3 }) }) }),
      fc.record({ and_matcher: fc.record({ predicate: fc.array(tie('predicate'), { maxLength: 3 }) }) }),
    ),
    matcher: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.record({ on_no_match: tie('onMatch') }),
      fc.record({
        matcher_list: fc.record({
          matchers: fc.array(fc.record({ predicate: tie('predicate'), on_match: tie('onMatch') }), {
            maxLength: 3,
          }),
        }),
      }),
      fc.record({
        matcher_tree: fc.record({
          input: fc.record({ name }),
          exact_match_map: fc.record({ map: fc.dictionary(fc.string({ maxLength: 3 }), tie('onMatch')) }),
        }),
      }),
      fc.record({
        matcher_tree: fc.record({
          input: fc.record({ name }),
          prefix_match_map: fc.record({ map: fc.dictionary(fc.string({ maxLength: 3 }), tie('onMatch')) }),
        }),
        on_no_match: tie('onMatch'),
      }),
      fc.record({ matcher_tree: fc.record({ input: fc.record({ name }), custom_match: extension }) }),
    ),
  }));
  const value = fc.oneof(fc.string({ maxLength: 3 }), fc.constant(undefined), fc.constant(NOT_AVAILABLE));

  it('is compiled or refused with a ConfigError, and comes to something', () => {
    fc.assert(
      fc.property(matcher, value, value, (config, a, b) => {
        try {
          const made = compileMatchTree(readLoose(XdsMatcherSchema, config as never), resolver);
          const found = made.match({ a, b } as Data);
          expect(['string', 'symbol', 'undefined']).toContain(typeof found);
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError);
        }
      }),
      { numRuns: 1500 },
    );
  });
});
