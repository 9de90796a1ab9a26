import { ExtensionRegistry, type InternalRedirectPredicateExtension } from '@dragoman/core';
import { describe, expect, test } from 'vitest';
import { request, streamInfo, tableOfRoutes, testContext } from './routes-support.ts';

const created: unknown[] = [];
const predicate: InternalRedirectPredicateExtension = {
  category: 'internal-redirect-predicates',
  name: 'p',
  create(_config: never, _context: unknown, route: string) {
    created.push(route);
    return { accepts: () => true };
  },
};

function policyOf(action: string, warnings: string[] = []) {
  const table = tableOfRoutes(`[{ name: own, match: { prefix: / }, route: { cluster: a, ${action} } }]`, {
    context: testContext({
      extensions: new ExtensionRegistry([predicate]),
      warn: (path, text) => warnings.push(`${path}: ${text}`),
    }),
  });
  const found = table.match(request('/'), streamInfo(), 0);
  const policy = found?.action.kind === 'forward' ? found.action.policies.internalRedirect : undefined;
  return policy && { ...policy, statuses: [...policy.statuses], predicates: policy.predicates.length };
}

const DEFAULTS = {
  maxRedirects: 1,
  statuses: [302],
  allowCrossScheme: false,
  headersToCopy: [],
  predicates: 0,
};

describe('internal_redirect_policy', () => {
  test.each<[name: string, action: string, expected: object | undefined]>([
    ['none', '', undefined],
    ['an empty one', 'internal_redirect_policy: {}', DEFAULTS],
    [
      'a full one',
      `internal_redirect_policy: { max_internal_redirects: 0, redirect_response_codes: [301, 308],
        allow_cross_scheme_redirect: true, response_headers_to_copy: [X-A] }`,
      { ...DEFAULTS, maxRedirects: 0, statuses: [301, 308], allowCrossScheme: true, headersToCopy: ['x-a'] },
    ],
    ['the old action', 'internal_redirect_action: HANDLE_INTERNAL_REDIRECT', DEFAULTS],
    [
      'the old action with its maximum',
      'internal_redirect_action: HANDLE_INTERNAL_REDIRECT, max_internal_redirects: 4',
      { ...DEFAULTS, maxRedirects: 4 },
    ],
    [
      'the old action that passes redirects on',
      'internal_redirect_action: PASS_THROUGH_INTERNAL_REDIRECT',
      undefined,
    ],
    [
      'both: the policy counts',
      'internal_redirect_action: HANDLE_INTERNAL_REDIRECT, max_internal_redirects: 4, internal_redirect_policy: {}',
      DEFAULTS,
    ],
  ])('%s', (_, action, expected) => {
    expect(policyOf(action)).toEqual(expected);
  });

  test('makes predicates, and tells them whose they are', () => {
    created.length = 0;
    expect(policyOf('internal_redirect_policy: { predicates: [{ name: p }] }')?.predicates).toBe(1);
    expect(created).toEqual(['own']);
  });

  test.each([
    [
      'a status that is no redirect',
      'internal_redirect_policy: { redirect_response_codes: [200, 302] }',
      '200',
    ],
    ['the deprecated action', 'internal_redirect_action: HANDLE_INTERNAL_REDIRECT', 'deprecated'],
  ])('warns of %s', (_, action, text) => {
    const warnings: string[] = [];
    expect(policyOf(action, warnings)?.statuses).toEqual([302]);
    expect(warnings.join()).toContain(text);
  });

  test.each([
    ['a pseudo-header to copy', '{ response_headers_to_copy: [":path"] }', 'response_headers_to_copy[0]'],
    ['the host to copy', '{ response_headers_to_copy: [a, Host] }', 'response_headers_to_copy[1]'],
    [
      'an unknown predicate',
      '{ predicates: [{ name: envoy.internal_redirect_predicates.allow_listed_routes }] }',
      '@dragoman/internal-redirect-predicate-allow-listed-routes',
    ],
  ])('is refused with %s', (_, policy, text) => {
    expect(() => policyOf(`internal_redirect_policy: ${policy}`)).toThrow(text);
  });
});
