import { describe, expect, it } from 'vitest';
import { atPath, ConfigError, formatProblem, joinPath, ProblemCollector } from '../src/index.ts';

describe('formatProblem', () => {
  it.each([
    [{ path: 'a.b', message: 'is wrong' }, 'a.b: is wrong'],
    [{ path: '', message: 'is wrong' }, 'is wrong'],
    [
      { file: 'envoy.yaml', line: 3, column: 7, path: 'a', message: 'no', suggestion: 'b' },
      'envoy.yaml:3:7: a: no; did you mean "b"?',
    ],
    [{ file: 'envoy.yaml', path: '', message: 'no' }, 'envoy.yaml: no'],
    [{ line: 3, path: 'a', message: 'no' }, '3: a: no'],
  ])('%j', (problem, text) => expect(formatProblem(problem)).toBe(text));
});

describe('joinPath', () => {
  it.each([
    ['a', 'b', 'a.b'],
    ['a', '[0].b', 'a[0].b'],
    ['', 'b', 'b'],
    ['a', '', 'a'],
    ['', '', ''],
  ])('%j and %j', (prefix, path, joined) => expect(joinPath(prefix, path)).toBe(joined));
});

describe('ConfigError', () => {
  it('lists every problem, one a line', () => {
    const error = new ConfigError([
      { path: 'a', message: 'one' },
      { path: 'b', message: 'two' },
    ]);
    expect(error.message).toBe('a: one\nb: two');
    expect(error.name).toBe('ConfigError');
    expect(new ConfigError({ path: 'a', message: 'one' }).problems).toHaveLength(1);
  });

  it('moves below a prefix with everything it knows', () => {
    const moved = new ConfigError({ path: 'x', message: 'm', suggestion: 's', line: 1 }).within(
      'listeners[0]',
    );
    expect(moved.problems).toEqual([{ path: 'listeners[0].x', message: 'm', suggestion: 's', line: 1 }]);
  });
});

describe('atPath', () => {
  it('gives back what is read', () => expect(atPath('a', () => 1)).toBe(1));

  it.each([
    [ConfigError.at('b', 'no', 'c'), 'a.b: no; did you mean "c"?'],
    [new Error('plain'), 'a: plain'],
    ['text', 'a: text'],
  ])('locates %s', (thrown, message) => {
    expect(() =>
      atPath('a', () => {
        throw thrown;
      }),
    ).toThrow(new ConfigError({ path: '', message }).message);
  });
});

describe('ProblemCollector', () => {
  it('goes on after a problem and throws all of them', () => {
    const collector = new ProblemCollector();
    collector.throwIfAny();
    expect(collector.try('a', () => 1)).toBe(1);
    const bad = (path: string) => () => {
      throw ConfigError.at(path, 'no');
    };
    expect(collector.try('b', bad('c'))).toBeUndefined();
    collector.try('[0]', bad(''));
    collector.add('d', 'missing', 'e');
    expect(() => collector.throwIfAny()).toThrow('b.c: no\n[0]: no\nd: missing; did you mean "e"?');
  });
});
