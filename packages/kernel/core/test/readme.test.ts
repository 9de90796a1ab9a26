import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import * as wkt from '@bufbuild/protobuf/wkt';
import { beforeEach, describe, expect, it } from 'vitest';
import * as core from '../src/index.ts';

const { ConfigError, RequestHeaders, ResponseHeaders } = core;

/** The example in the README, run as it stands there. */
function exampleFilter(): core.HttpFilterExtension {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const source = /```ts\n([\s\S]*?)```/.exec(readme)?.[1] as string;
  const script = stripTypeScriptTypes(source)
    .replace(/import \{([^}]*)\} from '([^']+)';/g, 'const {$1} = modules["$2"];')
    .replace(/, {2,}/g, ', ')
    .replace('export const', 'const');
  const run = new Function('modules', `${script}\nreturn pathGuard;`);
  return run({ '@dragoman/core': core, '@bufbuild/protobuf/wkt': wkt });
}

describe('the example filter of the README', () => {
  const filter = exampleFilter();
  let denied = 0;
  let replies: core.LocalReply[] = [];
  beforeEach(() => {
    denied = 0;
    replies = [];
  });
  const create = (value: string) =>
    filter.create(
      { value } as never,
      {
        clock: { now: () => 1250 },
        statPrefix: 'http.ingress.',
        stats: {
          scope: (prefix: string) => ({
            counter: (name: string) => ({
              inc: () => (denied += `${prefix}${name}` === 'http.ingress.path_guard.denied' ? 1 : 0),
            }),
          }),
        },
      } as never,
    ) as core.CreateHttpFilter;
  const stream = {
    info: { start: 1000 },
    reply: (reply: core.LocalReply) => replies.push(reply),
  } as unknown as core.HttpStream;
  const ask = (path: string) => {
    const headers = new RequestHeaders();
    headers.path = path;
    create('/public/[^/]+')(stream).onRequestHeaders?.(headers, true);
  };

  it('lets through what its pattern matches', () => {
    ask('/public/a?b=/c');
    expect([replies, denied]).toEqual([[], 0]);
  });

  it('refuses and counts the rest', () => {
    ask('/private');
    expect(replies).toEqual([{ status: 403, body: 'no such place\n', details: 'path_guard_denied' }]);
    expect(denied).toBe(1);
  });

  it('says how long a request took', () => {
    const headers = new ResponseHeaders();
    create('.*')(stream).onResponseHeaders?.(headers, true);
    expect(headers.get('x-took-ms')).toBe('250');
  });

  it('refuses a pattern that is not RE2 with the path of the field', () => {
    expect(() => create('(?=a)')).toThrow(ConfigError);
    expect(() => create('(?=a)')).toThrow(/^value: invalid regex/);
  });
});
