import { create, type MessageInitShape, RouteConfigurationSchema } from '@dragoman/api';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileRouteTable } from '../src/routes/index.ts';
import { clusterFor, request, testContext } from './routes-support.ts';

/** What a route asks for, in a form that both the table and the naive matcher read. */
interface Rule {
  readonly kind: 'prefix' | 'path' | 'pathSeparatedPrefix' | 'safeRegex';
  /** For a regex: the text that it must match, before anything. */
  readonly path: string;
  readonly ignoreCase: boolean;
  /** A header that must be there; empty: none. */
  readonly header: string;
}

/** Straight from the definition: the first rule in order that holds. */
function naive(rules: readonly Rule[], path: string, present: ReadonlySet<string>): string | undefined {
  const bare = path.replace(/[?#].*$/s, '');
  const index = rules.findIndex((rule) => {
    if (rule.header !== '' && !present.has(rule.header)) return false;
    if (rule.kind === 'safeRegex') return bare.startsWith(rule.path);
    const wanted = rule.ignoreCase ? rule.path.toLowerCase() : rule.path;
    const actual = rule.ignoreCase ? bare.toLowerCase() : bare;
    if (rule.kind === 'path') return actual === wanted;
    if (!actual.startsWith(wanted)) return false;
    return rule.kind === 'prefix' || actual.length === wanted.length || actual.charAt(wanted.length) === '/';
  });
  return index < 0 ? undefined : `c${index}`;
}

function tableFor(rules: readonly Rule[]) {
  const routes = rules.map((rule, i) => ({
    match: {
      pathSpecifier: {
        case: rule.kind,
        value: rule.kind === 'safeRegex' ? { regex: `${rule.path.replaceAll('-', '\\-')}.*` } : rule.path,
      },
      caseSensitive: rule.ignoreCase ? false : undefined,
      headers: rule.header === '' ? [] : [{ name: rule.header }],
    },
    action: {
      case: 'route' as const,
      value: { clusterSpecifier: { case: 'cluster' as const, value: `c${i}` } },
    },
  }));
  const config = { virtualHosts: [{ name: 'all', domains: ['*'], routes }] };
  return compileRouteTable(
    create(RouteConfigurationSchema, config as MessageInitShape<typeof RouteConfigurationSchema>),
    { context: testContext(), perFilterConfig: () => undefined },
  );
}

const segment = fc.constantFrom('a', 'b', 'ab', 'abc', 'A', 'x-1', 'é');
const path = fc
  .array(segment, { minLength: 0, maxLength: 5 })
  .chain((parts) => fc.constantFrom(`/${parts.join('/')}`, `/${parts.join('')}`, `/${parts.join('/')}/`));
const rule: fc.Arbitrary<Rule> = fc
  .record({
    kind: fc.constantFrom('prefix', 'path', 'pathSeparatedPrefix', 'safeRegex'),
    path,
    ignoreCase: fc.boolean(),
    header: fc.constantFrom('', '', 'h1', 'h2'),
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
            path: fc.tuple(path, fc.constantFrom('', '?a', '?/a/b', '/z')).map(([head, tail]) => head + tail),
            headers: fc.subarray(['h1', 'h2']),
          }),
          { minLength: 1, maxLength: 20 },
        ),
        (rules, requests) => {
          const usable = rules.filter((each) => each.kind !== 'pathSeparatedPrefix' || each.path.length > 1);
          const table = tableFor(usable);
          for (const each of requests) {
            const bytes = Buffer.from(each.path).toString('latin1');
            const headers = request(bytes, Object.fromEntries(each.headers.map((name) => [name, '1'])));
            expect(clusterFor(table, headers)).toBe(naive(usable, each.path, new Set(each.headers)));
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
    }));
    const table = tableFor(rules);
    for (const each of rules) expect(clusterFor(table, each.path)).toBe(naive(rules, each.path, new Set()));
  });
});
