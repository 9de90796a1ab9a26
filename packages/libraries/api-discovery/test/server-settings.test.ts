import { ApiServerSchema, readLoose } from '@dragoman/api';
import { SeededRandom } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { Backoff, readApiServer } from '../src/index.ts';

const read = (fields: object, defaults?: Parameters<typeof readApiServer>[1]) =>
  readApiServer(readLoose(ApiServerSchema, fields), defaults, 'is missing here');

describe('an API server', () => {
  it('has defaults', () => {
    expect(read({ url: 'https://[::1]:6443/' })).toEqual({
      origin: 'https://[::1]:6443',
      caFile: '',
      tokenFile: '',
      serverName: '',
      certificateFile: '',
      keyFile: '',
      requestTimeoutMs: 30_000,
      maxResponseBytes: 33_554_432,
      backoff: { baseMs: 1000, maxMs: 30_000 },
      exposesToken: false,
    });
  });

  it('takes the files of the defaults only with their URL', () => {
    const defaults = { url: 'https://10.0.0.1:443', caFile: '/ca', tokenFile: '/token' };
    expect(read({}, defaults)).toMatchObject({
      origin: 'https://10.0.0.1',
      caFile: '/ca',
      tokenFile: '/token',
    });
    expect(read({ ca_file: '/own' }, defaults)).toMatchObject({ caFile: '/own', tokenFile: '/token' });
    expect(read({ url: 'https://a.example' }, defaults)).toMatchObject({ caFile: '', tokenFile: '' });
  });

  it.each([
    ['http://10.0.0.1:8500', true],
    ['http://127.0.0.1:8001', false],
    ['http://localhost:8001', false],
    ['http://127.evil.example', true],
    ['https://10.0.0.1', false],
  ])('knows whether %s exposes a token: %s', (url, exposes) => {
    expect(read({ url, token_file: '/t' }).exposesToken).toBe(exposes);
  });

  it.each([
    [{}, /^url: is missing here$/],
    [{ url: '10.0.0.1:80' }, /^url: "10.0.0.1:80" is not an http or https URL/],
    [{ url: 'ftp://a' }, /not an http or https URL/],
    [{ url: 'https://a:b@c' }, /user or password; put a token into token_file/],
    [{ url: 'https://a/path?q' }, /must end after the port; remove "\/path\?q"/],
    [{ url: 'https://a', client_key_file: '/k' }, /^client_certificate_file: is missing/],
    [{ url: 'http://a', ca_file: '/c' }, /^ca_file: has no meaning for an http URL/],
    [
      { url: 'https://a', retry_backoff: { base_interval: '5s', max_interval: '1s' } },
      /^retry_backoff.max_interval: must not be less/,
    ],
  ])('refuses %j', (fields, message) => {
    expect(() => read(fields)).toThrow(message);
  });

  it('reads the back-off, whose end is ten times its base when it is not given', () => {
    const { backoff } = read({ url: 'https://a', retry_backoff: { base_interval: '0.2s' } });
    expect(backoff).toEqual({ baseMs: 200, maxMs: 2000 });
  });
});

describe('back-off', () => {
  it('doubles within the upper half of its bound, up to the limit, until it is reset', () => {
    const backoff = new Backoff({ baseMs: 100, maxMs: 1000 }, new SeededRandom(7));
    for (const bound of [100, 200, 400, 800, 1000, 1000]) {
      const wait = backoff.next();
      expect(wait).toBeGreaterThanOrEqual(bound / 2);
      expect(wait).toBeLessThan(bound);
    }
    expect(backoff.failures).toBe(6);
    expect(backoff.next(5000)).toBe(5000);
    backoff.reset();
    expect(backoff.failures).toBe(0);
    expect(backoff.next()).toBeLessThan(100);
  });
});
