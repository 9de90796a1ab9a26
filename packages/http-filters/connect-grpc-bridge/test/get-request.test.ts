import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readGetRequest } from '../src/get-request.ts';

const read = (query: string) => readGetRequest(`/s/m?${query}`);

describe('readGetRequest', () => {
  it.each([
    ['connect=v1&encoding=json&message=%7B%22request%22%3A1%7D', 'json', 'identity', '{"request":1}'],
    ['connect=v1&encoding=json&message=eyJyZXF1ZXN0IjoxfQ&base64=1', 'json', 'identity', '{"request":1}'],
    [
      'connect=v1&encoding=json&message=eyJyZXF1ZXN0IjoxfQ%3D%3D&base64=1',
      'json',
      'identity',
      '{"request":1}',
    ],
    ['message=fake&compression=gzip&encoding=proto&connect=v1', 'proto', 'gzip', 'fake'],
    ['connect=v1', '', 'identity', ''],
    ['connect=v1&connect=v2&message=a+b%2Bc%zz%', '', 'identity', 'a+b+c%zz%'],
    ['%63onnect=v1&message=%FF%00', '', 'identity', '\xff\0'],
    ['connect=v1&message=a=b', '', 'identity', 'a=b'],
    ['connect=v1&message=-_8&base64=1', '', 'identity', '\xfb\xff'],
    ['connect=v1&message=YQ&base64=0', '', 'identity', 'YQ'],
    ['connect=v1&__proto__=x&message=m', '', 'identity', 'm'],
  ])('reads %s', (query, codec, compression, message) => {
    const get = read(query);
    expect(get).toEqual({ codec, compression, message: Buffer.from(message, 'latin1') });
  });

  it.each(['+/8', 'Zh', 'A', '====', 'a b'])(
    'takes %j for the empty message, as it is no base64',
    (message) => {
      expect(read(`connect=v1&base64=1&message=${message}`)).toMatchObject({ message: Buffer.alloc(0) });
    },
  );

  it.each(['', 'connect', 'connect=v2', 'connect=V1', 'a=b&connect=', 'connect=v2&connect=v1'])(
    'leaves %j alone',
    (query) => {
      expect(read(query)).toBeUndefined();
    },
  );

  it('leaves a path without a query alone', () => {
    expect(readGetRequest('/connect=v1')).toBeUndefined();
    expect(readGetRequest('')).toBeUndefined();
  });

  it.each([
    'encoding=a%0D%0Ab',
    'encoding=a%20b',
    'compression=%00',
    'compression=gzip%2Cbr',
    'encoding=%ff',
  ])('refuses %s', (parameter) => {
    expect(read(`connect=v1&${parameter}`)).toBe('invalid');
  });

  it('takes any query, and lets no odd words out', () => {
    const part = fc.constantFrom(
      'connect=v1',
      'encoding=',
      'compression=',
      'message=',
      'base64=1',
      '&',
      '=',
      '%0a',
      '%',
      'x',
      '?',
    );
    fc.assert(
      fc.property(fc.array(part), (parts) => {
        const get = read(parts.join(''));
        if (get === undefined || get === 'invalid') return;
        expect(get.codec + get.compression).toMatch(/^[\w%?]+$/);
      }),
    );
  });
});
