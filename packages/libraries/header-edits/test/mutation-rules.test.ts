import { MutationRulesHeaderMutationSchema, readLoose } from '@dragoman/api';
import { type FormatterFactory, type LogContext, RequestHeaders } from '@dragoman/core';
import { requestHeaders } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { compileMutationRules } from '../src/index.ts';

/** `%NAME%` is the value of that header as it is when it is asked. */
const formatters: FormatterFactory = {
  text(format) {
    if (format.includes('%BAD%')) throw new Error('unknown operator BAD');
    return {
      format: ({ request }) =>
        format.replace(/%(\w+)%/g, (_, name: string) => request?.getJoined(`x-${name.toLowerCase()}`) ?? ''),
    };
  },
  fromConfig: () => {
    throw new Error('not used here');
  },
  default: { format: () => '' },
};

const rules = (...mutations: object[]) =>
  compileMutationRules(
    mutations.map((mutation) => readLoose(MutationRulesHeaderMutationSchema, mutation)),
    formatters,
    'mutations',
  );

const append = (key: string, value: string, more: object = {}) => ({
  append: { header: { key, value }, ...more },
});
const action = (append_action: string) => ({ append_action });

function apply(fields: Record<string, string>, ...mutations: object[]): [string, string][] {
  const headers = requestHeaders(fields);
  const compiled = rules(...mutations);
  compiled.apply(headers, { request: headers } as LogContext);
  return headers.entries().filter(([name]) => name.startsWith('x-'));
}

describe('mutations', () => {
  it.each<[string, Record<string, string>, object[], [string, string][]]>([
    [
      'append to what is there',
      { 'x-a': '1' },
      [append('X-A', '2')],
      [
        ['x-a', '1'],
        ['x-a', '2'],
      ],
    ],
    ['append to nothing', {}, [append('x-a', '2')], [['x-a', '2']]],
    ['add if absent: there', { 'x-a': '1' }, [append('x-a', '2', action('ADD_IF_ABSENT'))], [['x-a', '1']]],
    ['add if absent: not there', {}, [append('x-a', '2', action('ADD_IF_ABSENT'))], [['x-a', '2']]],
    [
      'overwrite or add: there',
      { 'x-a': '1' },
      [append('x-a', '2', action('OVERWRITE_IF_EXISTS_OR_ADD'))],
      [['x-a', '2']],
    ],
    [
      'overwrite or add: not there',
      {},
      [append('x-a', '2', action('OVERWRITE_IF_EXISTS_OR_ADD'))],
      [['x-a', '2']],
    ],
    ['overwrite: there', { 'x-a': '1' }, [append('x-a', '2', action('OVERWRITE_IF_EXISTS'))], [['x-a', '2']]],
    ['overwrite: not there', {}, [append('x-a', '2', action('OVERWRITE_IF_EXISTS'))], []],
    ['the deprecated append: false', { 'x-a': '1' }, [append('x-a', '2', { append: false })], [['x-a', '2']]],
    [
      'an empty value is left out',
      { 'x-a': '1' },
      [append('x-a', '', action('OVERWRITE_IF_EXISTS_OR_ADD'))],
      [['x-a', '1']],
    ],
    ['an empty value is kept', {}, [append('x-a', '', { keep_empty_value: true })], [['x-a', '']]],
    ['an empty outcome is left out', {}, [append('x-b', '%A%')], []],
    ['remove', { 'x-a': '1', 'x-b': '2' }, [{ remove: 'X-A' }], [['x-b', '2']]],
    ['remove what is not there', { 'x-b': '2' }, [{ remove: 'x-a' }], [['x-b', '2']]],
    [
      'remove on match',
      { 'x-a1': '1', 'x-b': '2', 'x-a2': '3' },
      [{ remove_on_match: { key_matcher: { prefix: 'x-a' } } }],
      [['x-b', '2']],
    ],
    [
      'remove on match, case ignored',
      { 'x-a1': '1', 'x-b': '2' },
      [{ remove_on_match: { key_matcher: { prefix: 'X-A', ignore_case: true } } }],
      [['x-b', '2']],
    ],
    // Each sees what the ones before have left.
    [
      'a value that was just written',
      {},
      [append('x-a', '1'), append('x-b', '%A%2')],
      [
        ['x-a', '1'],
        ['x-b', '12'],
      ],
    ],
    [
      'a value that was just removed',
      { 'x-a': '1' },
      [{ remove: 'x-a' }, append('x-b', '%A%2')],
      [['x-b', '2']],
    ],
    ['rename', { 'x-a': '1' }, [append('x-b', '%A%'), { remove: 'x-a' }], [['x-b', '1']]],
    ['a value that would break its line', { 'x-a': '1\n2' }, [append('x-b', '%A%')], [['x-a', '1\n2']]],
  ])('%s', (_what, fields, mutations, expected) => {
    expect(apply(fields, ...mutations)).toEqual(expected);
  });

  it('never touch pseudo-headers, whatever matches', () => {
    const headers = requestHeaders({ 'x-a': '1' });
    const before = headers.entries().filter(([name]) => name.startsWith(':'));
    rules({ remove_on_match: { key_matcher: { safe_regex: { regex: '.*' } } } }).apply(headers, undefined);
    expect(headers.entries()).toEqual(before);
  });

  it('need a context only for what is worked out', () => {
    expect([rules(append('x-a', 'b')).dynamic, rules(append('x-a', '%B%')).dynamic]).toEqual([false, true]);
    const headers = new RequestHeaders();
    rules(append('x-a', 'b')).apply(headers, undefined);
    expect(headers.get('x-a')).toBe('b');
  });

  it.each([
    [{}, 'mutations[0]: needs one of remove, append, remove_on_match'],
    [{ remove: ':path' }, 'mutations[0].remove: :-prefixed or host headers may not be removed'],
    [{ remove: 'Host' }, 'mutations[0].remove: :-prefixed or host headers may not be removed'],
    [append(':path', '/'), 'mutations[0].append.header.key: :-prefixed or host headers may not be modified'],
    [append('host', 'a'), 'mutations[0].append.header.key: :-prefixed or host headers may not be modified'],
    [append('a b', 'a'), 'mutations[0].append.header.key: "a b" is no header name'],
    [append('x-a', '%BAD%'), 'mutations[0].append.header.value: unknown operator BAD'],
    [append('x-a', 'a\nb'), 'mutations[0].append.header.value: a header value may not contain NUL, CR or LF'],
    [
      append('x-a', 'b', { append: true, ...action('ADD_IF_ABSENT') }),
      'mutations[0].append.append: append and append_action may not both be set',
    ],
    [{ remove_on_match: {} }, 'mutations[0].remove_on_match.key_matcher: a matcher is required'],
    [
      { remove_on_match: { key_matcher: { prefix: '' } } },
      'mutations[0].remove_on_match.key_matcher.prefix: must not be empty',
    ],
  ])('%o is refused', (mutation, text) => {
    expect(() => rules(mutation)).toThrow(
      expect.objectContaining({ message: expect.stringContaining(text) }),
    );
  });
});
