import { create, UriTemplateMatchConfigSchema, UriTemplateRewriteConfigSchema } from '@dragoman/api';
import { ConfigError, type PathMatcher, type PathRewriter } from '@dragoman/core';
import { testContext } from '@dragoman/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { uriTemplateMatcher, uriTemplateRewriter } from '../src/index.ts';

function matcher(pathTemplate: string): PathMatcher {
  const config = create(UriTemplateMatchConfigSchema, { pathTemplate });
  return uriTemplateMatcher.create(config as never, testContext());
}

function rewriter(pathTemplateRewrite: string, match: PathMatcher | undefined): PathRewriter {
  const config = create(UriTemplateRewriteConfigSchema, { pathTemplateRewrite });
  return uriTemplateRewriter.create(config as never, match, testContext());
}

describe('a template', () => {
  it.each<[template: string, yes: string[], no: string[]]>([
    ['/', ['/'], ['', '/a']],
    ['/abc', ['/abc'], ['/abcd', '/abc/', '/ABC', '/x/abc']],
    ['/a/b/', ['/a/b/'], ['/a/b']],
    ['/a/*', ['/a/b', '/a/b.c', '/a/*'], ['/a/', '/a', '/a/b/c', '/a/b=c']],
    ['/a/*/c', ['/a/b/c'], ['/a//c', '/a/b/b/c']],
    ['/a/**', ['/a/', '/a/b', '/a/b/c/', '/a/*/b'], ['/a', '/b/a', '/a/b=']],
    ['/**', ['/', '/a/b'], []],
    ['/**.mpd', ['/a/b.mpd', '/.mpd'], ['/a/b.mpdx', '/ampd']],
    ['/*_suf', ['/a_suf'], ['/_suf', '/a/b_suf']],
    ['/media/*.m4s', ['/media/1.m4s'], ['/media/1/2.m4s']],
    ['/v/{id}', ['/v/1'], ['/v/', '/v/1/2']],
    ['/v/{id=*}/x', ['/v/1/x'], ['/v/x']],
    ['/{version=api/*}/*', ['/api/v1/1234'], ['/apj/v1/1234', '/api/v1']],
    ['/{path=**}.m3u8', ['/media/1234/manifest.m3u8'], ['/x.m3u']],
    ['/{var=**/def}', ['/abc/123/def'], ['/abc']],
    ['/(a)+$.b', ['/(a)+$.b'], ['/aa$xb']],
    ['/%10/%20', ['/%10/%20'], ['/ / ']],
    // A variable beside literals, since Envoy 1.39.
    ['/api/v{version}/users/{id}.json', ['/api/v2/users/7.json'], ['/api/2/users/7.json', '/api/v2/users/7']],
    ['/a.{ext}/b', ['/a.x/b'], ['/ax/b', '/a./b']],
  ])('%s', (template, yes, no) => {
    const made = matcher(template);
    expect(made.template).toBe(template);
    for (const path of yes) expect([path, made.match(path)]).toEqual([path, true]);
    for (const path of no) expect([path, made.match(path)]).toEqual([path, false]);
  });

  it.each<[template: string, message: RegExp]>([
    ['', /must begin with "\/"/],
    ['media', /must begin with "\/"/],
    ['/a b', /printable/],
    ['/\u0001\u0002', /printable/],
    ['/é', /printable/],
    ['/foo//bar', /empty segment/],
    ['//bar', /empty segment/],
    ['/api/v*/1', /"v\*", which is no literal/],
    ['/a=b', /no literal/],
    ['/media/*/index?a=2', /no literal/],
    ['/media/***', /no literal/],
    ['/*{a}', /no literal/],
    ['/*(/**', /after a glob/],
    ['/link/{id=*}/asset*', /no literal/],
    ['/foo/{goo}}', /no literal/],
    ['/{a}{b}', /no literal/],
    ['/{a', /without "}"/],
    ['/{}', /"" for a variable/],
    ['/{=*}', /"" for a variable/],
    ['/{*}/', /"\*" for a variable/],
    ['/{1v}', /"1v" for a variable/],
    ['/{a-b}', /for a variable/],
    ['/{a.b}', /for a variable/],
    ['/{var=}', /nothing behind "="/],
    ['/{var=***}', /not each one glob/],
    ['/{var=*x}', /not each one glob/],
    ['/{var=x*}', /no literal/],
    ['/{var=a/}', /not each one glob/],
    ['/{var=/a}', /no literal/],
    ['/{var=a=b}', /no literal/],
    ['/{var12345678901234=*}', /longer than 16/],
    ['/{v}/{v}', /twice/],
    ['/{a}/{b}/{c}/{d}/{e}/{f}', /more than 5/],
    ['/**/*', /after "\*\*"/],
    ['/**/{a}', /after "\*\*"/],
    ['/{a=**}/{b=*}', /after "\*\*"/],
    ['/{a=**/*}', /after "\*\*"/],
  ])('refuses %s', (template, message) => {
    expect(() => matcher(template)).toThrow(message);
    try {
      matcher(template);
    } catch (error) {
      expect((error as ConfigError).problems[0]?.path).toBe('path_template');
    }
  });

  it('is read or refused with a ConfigError, whatever it is', () => {
    const token = fc.constantFrom(
      '/',
      '*',
      '**',
      '{',
      '}',
      '=',
      'a',
      'b1',
      '.',
      '$',
      '(',
      ')',
      '+',
      '%',
      '~',
      '?',
    );
    const text = fc.oneof(
      fc.array(token, { maxLength: 30 }).map((tokens) => `/${tokens.join('')}`),
      fc.string({ maxLength: 40 }),
    );
    fc.assert(
      fc.property(text, text, (template, path) => {
        try {
          const made = matcher(template);
          made.match(path);
          rewriter('/x', made).rewrite(path);
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError);
        }
      }),
      { numRuns: 3000 },
    );
  });

  it('matches what its globs and variables are filled with', () => {
    const filling = fc.stringMatching(/^[a-z0-9.%~$()+,;:@!&'_-]{1,8}$/);
    fc.assert(
      fc.property(filling, filling, filling, (a, b, c) => {
        const made = matcher('/x/{one}/*/{rest=**}.end');
        const path = `/x/${a}/${b}/${c}/${a}.end`;
        expect(made.match(path)).toBe(true);
        expect(rewriter('/{rest}/{one}', made).rewrite(path)).toBe(`/${c}/${a}/${a}`);
      }),
    );
  });
});

describe('a rewrite', () => {
  it.each<[template: string, rewrite: string, path: string, result: string | undefined]>([
    ['/a', '/static', '/a', '/static'],
    ['/api/users/{id}/{path=**}', '/users/{id}/{path}', '/api/users/21334/p.json', '/users/21334/p.json'],
    ['/region/{r}/bucket/{n}/{m=**}', '/{r}{n}/{m}', '/region/eu/bucket/prod/o.pdf', '/euprod/o.pdf'],
    ['/{a}/{b}', '/{b}-{a}/{b}', '/1/2', '/2-1/2'],
    ['/v{version}/{id}.json', '/{id}/{version}', '/v2/7.json', '/7/2'],
    ['/{a=**}', '/x{a}', '/', '/x'],
    ['/a/{b}', '/{b}', '/changed/since', undefined],
  ])('of %s to %s', (template, rewrite, path, result) => {
    expect(rewriter(rewrite, matcher(template)).rewrite(path)).toBe(result);
  });

  it.each<[rewrite: string, message: RegExp]>([
    ['', /must begin with "\/"/],
    ['{a}', /must begin with "\/"/],
    ['/a//b', /two slashes/],
    ['/{a}?b=1', /no literal/],
    ['/}a{', /no literal/],
    ['/{{a}}', /for a variable/],
    ['/{}', /for a variable/],
    ['/{a/b}', /for a variable/],
    ['/{a', /without "}"/],
    ['/{c}', /"c", which the path_match_policy does not set: it has a, b/],
  ])('refuses %s', (rewrite, message) => {
    expect(() => rewriter(rewrite, matcher('/{a}/{b}'))).toThrow(message);
  });

  it('needs the template of its own kind', () => {
    expect(() => rewriter('/a', undefined)).toThrow(
      /needs a path_match_policy of envoy\.path\.match\.uri_template/,
    );
    const other: PathMatcher = { name: 'example.other', template: '', match: () => true };
    expect(() => rewriter('/a', other)).toThrow(/the route's path_match_policy is example\.other/);
  });
});
