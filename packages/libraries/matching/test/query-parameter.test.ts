import { describe, expect, it } from 'vitest';
import { decodedQueryParameter, queryParameter } from '../src/index.ts';

describe('a query parameter', () => {
  it.each<[path: string, name: string, raw: string | undefined, decoded: string | undefined]>([
    ['/', 'a', undefined, undefined],
    ['/?', 'a', undefined, undefined],
    ['/?a', 'a', '', ''],
    ['/?a=', 'a', '', ''],
    ['/?a=1&a=2', 'a', '1', '1'],
    ['/?ab=1&a=2', 'a', '2', '2'],
    ['/?a=b=c', 'a', 'b=c', 'b=c'],
    ['/?a=b=c', 'a=b', undefined, undefined],
    ['/a=1?b=2', 'a', undefined, undefined],
    ['/?b=1&&a=2', 'a', '2', '2'],
    ['/?%61=x%79', 'a', undefined, 'xy'],
    ['/?%61=x%79', '%61', 'x%79', undefined],
    ['/?a=%20%zz%4', 'a', '%20%zz%4', '%20zz%4'],
  ])('of %s, %s', (path, name, raw, decoded) => {
    expect([queryParameter(path, name), decodedQueryParameter(path, name)]).toEqual([raw, decoded]);
  });
});
