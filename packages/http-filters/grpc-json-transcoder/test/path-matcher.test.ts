import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PathMatcher } from '../src/path-matcher.ts';
import { parseTemplate } from '../src/path-template.ts';

/** Each target is its own binding: `GET /a/{x}`. */
function matcher(bindings: readonly string[], takesAnyVerb = false): PathMatcher<string> {
  const registrations = bindings.map((binding) => {
    const [method, text] = binding.split(' ');
    return { method, template: parseTemplate(text), target: binding };
  });
  return new PathMatcher(registrations, takesAnyVerb);
}

function find(bindings: readonly string[], request: string, takesAnyVerb = false): string | undefined {
  const [method, path] = request.split(' ');
  return matcher(bindings, takesAnyVerb).match(method, path)?.target;
}

describe('the path matcher', () => {
  const TREE = [
    'GET /',
    'GET /a/**',
    'GET /b/*',
    'GET /c/*/d/**',
    'GET /c/*/d/e',
    'GET /c/f/d/e',
    'POST /c/f/d/*',
    'GET /g/{x=**}/h',
    'GET /g/{x=**}/i/h',
    'GET /g/{x=**}',
    'GET /k/*',
    'POST /k/l',
    '* /any/{x}',
    'PUT /any/{x}',
  ];
  it.each([
    ['GET /', 'GET /'],
    ['GET //', 'GET /'],
    ['GET /a', 'GET /a/**'],
    ['GET /a/', 'GET /a/**'],
    ['GET /a/b/c', 'GET /a/**'],
    ['GET /b', undefined],
    ['GET /b/c', 'GET /b/*'],
    ['GET /b/c/d', undefined],
    ['GET /b//', undefined],
    ['GET /c/u/d', 'GET /c/*/d/**'],
    ['GET /c/u/d/v/w', 'GET /c/*/d/**'],
    ['GET /c//d/v', 'GET /c/*/d/**'],
    ['GET /c//u/d/v', undefined],
    ['GET /c/u/d/e', 'GET /c/*/d/e'],
    ['GET /c/f/d/e', 'GET /c/f/d/e'],
    ['GET /c/f/d/x', 'GET /c/*/d/**'],
    ['POST /c/f/d/e', 'POST /c/f/d/*'],
    ['GET /g', 'GET /g/{x=**}'],
    ['GET /g/h', 'GET /g/{x=**}'],
    ['GET /g/1/h', 'GET /g/{x=**}/h'],
    ['GET /g/1/2/h', 'GET /g/{x=**}/h'],
    ['GET /g/i/h', 'GET /g/{x=**}/h'],
    ['GET /g/1/i/h', 'GET /g/{x=**}/i/h'],
    ['GET /k/l', 'GET /k/*'],
    ['POST /k/l', 'POST /k/l'],
    ['POST /k/m', undefined],
    ['OPTIONS /any/1', '* /any/{x}'],
    ['PUT /any/1', 'PUT /any/{x}'],
    ['get /b/c', undefined],
    ['GET /A', undefined],
    ['GET ', 'GET /'],
    ['GET *', 'GET /'],
  ])('%s is for %s', (request, expected) => expect(find(TREE, request)).toBe(expected));

  const VERBS = [
    'GET /people',
    'GET /people/{id}',
    'GET /{x=**}:open',
    'POST /people/*:open',
    '* /doors/*:open',
    'GET /doors/*',
  ];
  it.each([
    ['GET /people:open', 'GET /{x=**}:open'],
    ['GET /people/ann:open', 'GET /{x=**}:open'],
    ['POST /people/ann:open', 'POST /people/*:open'],
    ['DELETE /doors/1:open', '* /doors/*:open'],
    ['GET /doors/1', 'GET /doors/*'],
    ['GET /people/ann:shut', 'GET /people/{id}'],
    ['GET /people:shut', undefined],
    ['GET /people/ann:open/', 'GET /people/{id}'],
    ['GET /people:open/ann', undefined],
    ['GET /people/a:b:open', 'GET /{x=**}:open'],
  ])('with verbs, %s is for %s', (request, expected) => expect(find(VERBS, request)).toBe(expected));

  it('takes any verb for one when it is told to', () => {
    expect(find(VERBS, 'GET /people/ann:shut', true)).toBeUndefined();
    expect(find(VERBS, 'GET /people/ann', true)).toBe('GET /people/{id}');
    expect(find(VERBS, 'GET /a/b:open', true)).toBe('GET /{x=**}:open');
  });

  it('finds neither of two that ask for the same, and says which they are', () => {
    const twice = matcher([
      'GET /a/{x}',
      'GET /a/{y}',
      'GET /a/**',
      'POST /a/*',
      'GET /b/**/c:d',
      'GET /b/{z=**}/c:d',
    ]);
    expect(twice.duplicates).toEqual(['GET /a/*', 'GET /b/**/c:d']);
    expect(twice.match('GET', '/a/1')).toBeUndefined();
    expect(twice.match('GET', '/a/1/2')?.target).toBe('GET /a/**');
    expect(twice.match('POST', '/a/1')?.target).toBe('POST /a/*');
  });

  it('gives the segments as they were sent, without the verb', () => {
    expect(matcher(VERBS).match('GET', '/a%2fb//c:open')?.segments).toEqual(['a%2fb', '', 'c']);
  });

  it('takes paths of any length without going deep', () => {
    const path = `/a${'/a'.repeat(60_000)}`;
    expect(find(['GET /a/**', 'GET /a/**/b'], `GET ${path}`)).toBe('GET /a/**');
    expect(find(['GET /a/**/b'], `GET ${path}`)).toBeUndefined();
  });

  it('finds something exactly when a template fits, and what fits', () => {
    const segment = fc.constantFrom('a', 'b', '*', '**');
    const templates = fc
      .uniqueArray(
        fc.array(segment, { minLength: 1, maxLength: 4 }).map((list) => `/${list.join('/')}`),
        {
          minLength: 1,
          maxLength: 6,
        },
      )
      .map((list) => list.filter((text) => !/\*\*.*\*/.test(text)));
    const paths = fc
      .array(fc.constantFrom('a', 'b', 'c', ''), { maxLength: 6 })
      .map((list) => `/${list.join('/')}`);
    fc.assert(
      fc.property(templates, paths, (texts, path) => {
        const found = find(
          texts.map((text) => `GET ${text}`),
          `GET ${path}`,
        );
        const matching = texts.filter((text) => fits(segmentsOf(text), segmentsOf(path)));
        if (found === undefined) expect(matching).toEqual([]);
        else expect(matching).toContain(found.slice('GET '.length));
      }),
      { numRuns: 1000 },
    );
  });

  it('throws on no request', () => {
    const all = matcher([...TREE, ...VERBS.slice(1)]);
    fc.assert(fc.property(fc.string(), fc.string(), (method, path) => void all.match(method, path)));
  });
});

/** The grammar read plainly: `**` takes one segment or more, or nothing at the very end. */
function fits(pattern: readonly string[], segments: readonly string[]): boolean {
  const [first, ...rest] = pattern;
  if (first === undefined) return segments.length === 0;
  if (first !== '**')
    return segments.length > 0 && (first === '*' || first === segments[0]) && fits(rest, segments.slice(1));
  if (segments.length === 0) return rest.length === 0;
  return fits(rest, segments.slice(1)) || fits(pattern, segments.slice(1));
}

const segmentsOf = (path: string): string[] => path.replace(/\/+$/, '').split('/').slice(1);
