import {
  anyPack,
  create,
  type MessageInitShape,
  RouteConfigurationSchema,
  StringValueSchema,
} from '@dragoman/api';
import { definePathMatcher, ExtensionRegistry } from '@dragoman/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileRouteTable } from '../src/routes/index.ts';
import { clusterFor, request, streamInfo, testContext } from './routes-support.ts';

/** A policy for the tests: paths that end with a text. */
const ending = definePathMatcher({
  name: 'test.ending',
  config: StringValueSchema,
  create: ({ value }) => {
    const bytes = Buffer.from(value).toString('latin1');
    return { name: 'test.ending', template: value, match: (path) => path.endsWith(bytes) };
  },
});
const context = testContext({ extensions: new ExtensionRegistry([ending]) });

/** What a route asks for, in a form that both the table and the naive matcher read. */
interface Rule {
  readonly kind:
    | 'prefix'
    | 'path'
    | 'pathSeparatedPrefix'
    | 'safeRegex'
    | 'pathMatchPolicy'
    | 'connectMatcher';
  /** For a regex: the text that it must match, before anything; for a policy: what the path must end with. */
  readonly path: string;
  readonly ignoreCase: boolean;
  /** A header that must be there; empty: none. */
  readonly header: string;
  /** A cookie that must be 1, and an object of filter state that must be 1; empty: none. */
  readonly cookie: string;
  readonly state: string;
}

interface Asked {
  readonly path: string;
  readonly connect: boolean;
  readonly headers: readonly string[];
  readonly cookies: readonly string[];
  readonly states: readonly string[];
}

/** Straight from the definition: the first rule in order that holds. */
function naive(rules: readonly Rule[], asked: Asked): string | undefined {
  const bare = asked.path.replace(/[?#].*$/s, '');
  const index = rules.findIndex((rule) => {
    if (rule.header !== '' && !asked.headers.includes(rule.header)) return false;
    if (rule.cookie !== '' && !asked.cookies.includes(rule.cookie)) return false;
    if (rule.state !== '' && !asked.states.includes(rule.state)) return false;
    if (rule.kind === 'connectMatcher') return asked.connect;
    if (asked.path === '') return false;
    if (rule.kind === 'safeRegex') return bare.startsWith(rule.path);
    if (rule.kind === 'pathMatchPolicy') return bare.endsWith(rule.path);
    const wanted = rule.ignoreCase ? rule.path.toLowerCase() : rule.path;
    const actual = rule.ignoreCase ? bare.toLowerCase() : bare;
    if (rule.kind === 'path') return actual === wanted;
    if (!actual.startsWith(wanted)) return false;
    return rule.kind === 'prefix' || actual.length === wanted.length || actual.charAt(wanted.length) === '/';
  });
  return index < 0 ? undefined : `c${index}`;
}

function specifierOf({ kind, path: text }: Rule): object {
  switch (kind) {
    case 'safeRegex':
      return { case: kind, value: { regex: `${text.replaceAll('-', '\\-')}.*` } };
    case 'pathMatchPolicy':
      return {
        case: kind,
        value: {
          name: 'x',
          typedConfig: anyPack(StringValueSchema, create(StringValueSchema, { value: text })),
        },
      };
    case 'connectMatcher':
      return { case: kind, value: {} };
    default:
      return { case: kind, value: text };
  }
}

const IS_1 = { matchPattern: { case: 'exact' as const, value: '1' } };

function tableFor(rules: readonly Rule[]) {
  const routes = rules.map((rule, i) => ({
    match: {
      pathSpecifier: specifierOf(rule),
      caseSensitive: rule.ignoreCase ? false : undefined,
      headers: rule.header === '' ? [] : [{ name: rule.header }],
      cookies: rule.cookie === '' ? [] : [{ name: rule.cookie, stringMatch: IS_1 }],
      filterState:
        rule.state === ''
          ? []
          : [{ key: rule.state, matcher: { case: 'stringMatch' as const, value: IS_1 } }],
    },
    action: {
      case: 'route' as const,
      value: { clusterSpecifier: { case: 'cluster' as const, value: `c${i}` } },
    },
  }));
  const config = { virtualHosts: [{ name: 'all', domains: ['*'], routes }] };
  return compileRouteTable(
    create(RouteConfigurationSchema, config as MessageInitShape<typeof RouteConfigurationSchema>),
    { context, perFilterConfig: () => undefined },
  );
}

const segment = fc.constantFrom('a', 'b', 'ab', 'abc', 'A', 'x-1', 'é');
const path = fc
  .array(segment, { minLength: 0, maxLength: 5 })
  .chain((parts) => fc.constantFrom(`/${parts.join('/')}`, `/${parts.join('')}`, `/${parts.join('/')}/`));
const rule: fc.Arbitrary<Rule> = fc
  .record({
    kind: fc.constantFrom(
      'prefix',
      'path',
      'pathSeparatedPrefix',
      'safeRegex',
      'pathMatchPolicy',
      'connectMatcher',
    ),
    path,
    ignoreCase: fc.boolean(),
    header: fc.constantFrom('', '', 'h1', 'h2'),
    cookie: fc.constantFrom('', '', '', 'k1', 'k2'),
    state: fc.constantFrom('', '', '', 's1', 's2'),
  })
  .map((made) =>
    // A separated prefix may not end with a slash.
    made.kind === 'pathSeparatedPrefix'
      ? { ...made, path: `${made.path.replace(/\/+$/, '')}/z`.slice(0, -2) || '/a' }
      : made,
  ) as fc.Arbitrary<Rule>;

describe('a compiled table', () => {
  it('finds what asking each route in order finds', () => {
    fc.assert(
      fc.property(
        fc.array(rule, { maxLength: 40 }),
        fc.array(
          fc.record({
            path: fc.oneof(
              {
                weight: 9,
                arbitrary: fc
                  .tuple(path, fc.constantFrom('', '?a', '?/a/b', '/z'))
                  .map((parts) => parts.join('')),
              },
              { weight: 1, arbitrary: fc.constant('') },
            ),
            connect: fc.boolean(),
            headers: fc.subarray(['h1', 'h2']),
            cookies: fc.subarray(['k1', 'k2']),
            states: fc.subarray(['s1', 's2']),
          }),
          { minLength: 1, maxLength: 20 },
        ),
        (rules, requests) => {
          const usable = rules.filter((each) => each.kind !== 'pathSeparatedPrefix' || each.path.length > 1);
          const table = tableFor(usable);
          for (const asked of requests) {
            const bytes = Buffer.from(asked.path).toString('latin1');
            const headers = request(bytes, Object.fromEntries(asked.headers.map((name) => [name, '1'])));
            if (asked.connect) headers.method = 'CONNECT';
            if (asked.cookies.length > 0)
              headers.append('cookie', asked.cookies.map((name) => `${name}=1`).join('; '));
            const info = streamInfo();
            for (const key of asked.states) info.filterState.set(key, { toText: () => '1' });
            expect(clusterFor(table, headers, 0, info)).toBe(naive(usable, asked));
          }
        },
      ),
      { numRuns: 400 },
    );
  });

  it('finds each of many routes, whose nodes are split and have many children', () => {
    const rules: Rule[] = Array.from({ length: 3000 }, (_, i) => ({
      kind: i % 3 === 0 ? 'path' : 'prefix',
      path: `/${String.fromCharCode(33 + ((i * 7) % 90))}${i.toString(36)}/x`.replace(/[?#]/g, '_'),
      ignoreCase: false,
      header: '',
      cookie: '',
      state: '',
    }));
    const table = tableFor(rules);
    const asked: Asked = { path: '', connect: false, headers: [], cookies: [], states: [] };
    for (const { path: each } of rules)
      expect(clusterFor(table, each)).toBe(naive(rules, { ...asked, path: each }));
  });
});
