import { describe, expect, it } from 'vitest';
import { compileRegex, RegexSyntaxError } from '../../src/index.ts';

const bytes = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

describe('syntax errors', () => {
  it.each([
    ['(', 0, 'missing )'],
    ['a)', 1, 'unexpected )'],
    ['a**', 2, 'may not be stacked'],
    ['*a', 0, 'no argument'],
    ['a|*', 2, 'no argument'],
    ['x{1001}', 1, 'at most 1000'],
    ['x{3,2}', 1, 'wrong way round'],
    ['(?:x{100}){100}', 0, 'nested repetitions'],
    ['[z-a]', 1, 'wrong way round'],
    ['[a', 0, 'missing ]'],
    ['[[:letters:]]', 1, 'unknown class'],
    ['(?=a)', 0, 'no look-around'],
    ['(?<!a)', 0, 'no look-around'],
    ['(a)\\1', 3, 'no back-references'],
    ['\\k<a>', 0, 'no back-references'],
    ['(?P<a>x)(?P<a>y)', 8, 'used twice'],
    ['(?P<a b>x)', 0, 'invalid group name'],
    ['\\pX', 0, 'unknown Unicode group'],
    ['\\p{Nonsense}', 0, 'unknown Unicode group'],
    ['\\C', 0, 'single byte'],
    ['\\Z', 0, 'invalid escape'],
    ['\\x{110000}', 0, '10FFFF'],
    ['a\\', 1, 'backslash ends'],
    ['(?a)', 0, 'unknown group'],
    ['('.repeat(201), 200, 'nested too deep'],
  ])('%s', (pattern, offset, text) => {
    const error = errorOf(() => compileRegex(pattern));
    expect(error.offset).toBe(offset);
    expect(error.message).toContain(text);
    expect(error.pattern).toBe(pattern);
  });

  it('bounds the length of a pattern and its size written out', () => {
    expect(errorOf(() => compileRegex('a'.repeat(16_385))).message).toContain('too long');
    expect(errorOf(() => compileRegex(`${'(?:abcdefghijk){1000}'}`)).message).toContain('too large');
    expect(compileRegex('a{1000}').fullMatch('a'.repeat(1000))).toBe(true);
    expect(compileRegex('(?:(?:ab){30}c){10}').fullMatch(`${'ab'.repeat(30)}c`.repeat(10))).toBe(true);
    expect(compileRegex('(?:(?:ab){30}c){10}').fullMatch(`${'ab'.repeat(30)}c`.repeat(9))).toBe(false);
  });
});

describe('texts of bytes', () => {
  it.each([
    ['^.$', bytes('é'), true],
    ['^.$', bytes('\u{1f600}'), true],
    ['^..$', bytes('é'), false],
    ['[é-ï]+', bytes('éê'), true],
    ['[^é]', bytes('é'), false],
    ['(?i)É', bytes('é'), true],
    ['(?i)straſe', bytes('STRASE'), true],
    ['(?i)\\x{212a}', 'k', true],
    ['(?i)σ', bytes('ς'), true],
    ['\\p{Greek}+', bytes('αβγ'), true],
    ['\\x{1F600}', bytes('\u{1f600}'), true],
    ['[\\x{1F600}-\\x{1F64F}]', bytes('\u{1f64f}'), true],
    ['\u{1f600}', '\u{1f600}', true],
  ])('%s on %j: %s', (pattern, text, matches) => {
    expect(compileRegex(pattern).fullMatch(text)).toBe(matches);
  });

  // A policy must not be evaded with bytes that are not UTF-8, nor let them through where it lists what is allowed.
  it.each([
    ['.*admin.*', '/x\xff/admin', true],
    ['.*admin.*', '\xc3(/admin\xe2\x82', true],
    ['/public/[^/]+', '/public/\xed\xa0\x80', true],
    ['/public/[a-z]+', '/public/a\xff', false],
    ['/public/\\pL+', '/public/a\xff', false],
    ['[\\x{80}-\\x{10FFFF}]', '\xff', false],
    ['[\\x{DC00}-\\x{DFFF}]', '\xff', false],
    ['\\x{FFFD}', '\xff', false],
    ['ÿ', '\xff', false],
    ['^.$', '\xc0\x80', false],
    ['^..$', '\xc0\x80', true],
    ['^...$', '\xf4\x90\x80', true],
    ['\\D\\W\\S', '\xff\xff\xff', true],
    ['\\d|\\w|\\s', '\xff', false],
    ['\\p{Any}', '\xff', true],
  ])('%s on invalid %j: %s', (pattern, text, matches) => {
    expect(compileRegex(pattern).fullMatch(text)).toBe(matches);
  });

  it('searches from whole characters only', () => {
    const low = compileRegex('[^\u{1f600}]$');
    expect(low.search(bytes('\u{1f600}'))).toBe(false);
    expect(low.search(bytes('\u{1f601}'))).toBe(true);
  });

  it('ends lines at \\n alone', () => {
    const line = compileRegex('(?m)^b$');
    expect(line.search('a\nb\nc')).toBe(true);
    expect(line.search('a\rb\rc')).toBe(false);
    expect(line.search(bytes('a\u2028b\u2029c'))).toBe(false);
    expect(compileRegex('(?m)^a\\rb$').search('x\na\rb')).toBe(true);
  });
});

describe('replaceAll', () => {
  it.each([
    ['^/api/v([0-9]+)/(.*)$', '/api/v2/users?x=1', '/\\2?v=\\1', '/users?x=1?v=2'],
    ['b+', 'ababbba', 'X', 'aXaXa'],
    ['b*', 'abc', '-', '-a-c-'],
    ['', 'ab', '.', '.a.b.'],
    ['(a)|(b)', 'ab', '[\\1\\2]', '[a][b]'],
    ['x', 'abc', 'y', 'abc'],
    ['/', '/a/b', '\\\\', '\\a\\b'],
    ['(.)', bytes('é\u{1f600}'), '<\\1>', bytes('<é><\u{1f600}>')],
    ['o', 'fo\xffo\r\n', 'é', `f${bytes('é')}\xff${bytes('é')}\r\n`],
    ['(?m)$', 'a\rb\xff\nc', ';', 'a\rb\xff;\nc;'],
    ['[^a]+', 'a\xff\xfea', '(\\0)', 'a(\xff\xfe)a'],
    ['([a-z]{20})-', `${'q'.repeat(20)}-`, '\\1', 'q'.repeat(20)],
  ])('%s on %j by %s', (pattern, text, substitution, expected) => {
    expect(compileRegex(pattern).replaceAll(text, substitution)).toBe(expected);
  });

  it('replaces in long texts as in short ones', () => {
    const text = '/segment'.repeat(500);
    expect(compileRegex('/(s)egment').replaceAll(text, '\\1')).toBe('s'.repeat(500));
  });

  it.each([
    ['a', '\\1', 'no group 1'],
    ['a', '\\x', 'invalid escape'],
    ['a', 'x\\', 'invalid escape'],
    ['(?:(a)|b)*', '\\1', 'put the repetition inside'],
    ['(a*)+', '\\1', 'repeats what may match nothing'],
    ['(?:|a)*b', 'x', 'repeats what may match nothing'],
    ['(?:(a)?b)+', '\\1', 'put the repetition inside'],
  ])('refuses %s with %s at load', (pattern, substitution, message) => {
    expect(errorOf(() => compileRegex(pattern).replacer(substitution)).message).toContain(message);
  });

  it('takes groups whose text is the same for every engine', () => {
    expect(compileRegex('(?:(a)|b)*').replaceAll('abc', '<\\0>')).toBe('<ab>c<>');
    expect(compileRegex('(?:x(.))+').replaceAll('xaxb', '\\1')).toBe('b');
    expect(compileRegex('(?:(a)|b)').replaceAll('ab', '[\\1]')).toBe('[a][]');
  });
});

describe('linear time', () => {
  // Time for a text a hundred times as long: about 100 for a linear engine, 10,000 for a quadratic one, and no end in sight for an exponential one.
  // 200 characters run on the backtracking engine with its fallback, 20,000 on the linear one.
  it.each([
    '(a+)+$',
    '^(a+)+$',
    '(?:a|a)*$',
    '.*x',
    '[^/]+/x',
    'a.*b',
    'a*a*a*a*a*b',
    '(?:a?){30}a{30}c',
    '(.*)(.*)(.*)(.*)x$',
    '(?i)(?:[a-z]+\\.?)*@',
  ])('%s', (pattern) => {
    const regex = compileRegex(pattern);
    const time = (text: string, rounds: number): number => {
      let best = Number.POSITIVE_INFINITY;
      for (let round = 0; round < rounds; round++) {
        const start = performance.now();
        regex.search(text);
        regex.fullMatch(text);
        best = Math.min(best, performance.now() - start);
      }
      return best;
    };
    const unit = time(`${'a'.repeat(2000)}!`, 5);
    expect(time(`${'a'.repeat(20_000)}!`, 3) / unit).toBeLessThan(50);
    // Short texts cost no more than a bounded number of backtracks, each with a bounded loop.
    expect(time(`${'a'.repeat(200)}!`, 5)).toBeLessThan(Math.max(unit * 20, 50));
  });

  it('compiles runs of optional parts in no time', () => {
    const regex = compileRegex('(?:a?){400}a{400}');
    expect(regex.fullMatch('a'.repeat(399))).toBe(false);
    expect(regex.fullMatch('a'.repeat(800))).toBe(true);
    expect(compileRegex('a?'.repeat(300)).fullMatch('a'.repeat(301))).toBe(false);
  });
});

function errorOf(run: () => unknown): RegexSyntaxError {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(RegexSyntaxError);
    return error as RegexSyntaxError;
  }
  throw new Error('nothing was thrown');
}

describe('Unicode groups', () => {
  it.each(['L', 'Lu', 'Mn', 'Co', 'Cs', 'So', 'Greek', 'Han', 'Adlam'])(
    '\\p{%s} holds what the platform says',
    (name) => {
      const ours = compileRegex(`\\p{${name}}`);
      const theirs = new RegExp(name.length > 2 ? `^\\p{Script=${name}}$` : `^\\p{gc=${name}}$`, 'u');
      for (let point = 0x80; point <= 0x10ffff; point += point < 0x3000 ? 7 : 997) {
        if (point >= 0xd800 && point <= 0xdfff) continue;
        const char = String.fromCodePoint(point);
        if (ours.fullMatch(bytes(char)) !== theirs.test(char)) expect.fail(`U+${point.toString(16)}`);
      }
    },
  );
});
