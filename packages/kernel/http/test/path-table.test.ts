import { emptyRuntime, type RequestHeaders } from '@dragoman/core';
import { createClientCodec } from '@dragoman/http1';
import { ConnectionRecorder, connectionPair } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { ManagerRig } from './manager-rig.ts';

/** Refused by the connection manager, and by the codec. */
const BAD_PATH = '400 path_normalization_failed';
const BAD_TARGET = '400 http1.invalid_url';

/**
 * What is sent, and what becomes of it: as it stands, with `normalize_path`, with `merge_slashes`, with both, and with both and
 * `UNESCAPE_AND_FORWARD`. Where the last two differ, `UNESCAPE_AND_REDIRECT` and `REJECT_REQUEST` act.
 */
const TABLE: readonly (readonly [sent: string, ...became: string[]])[] = [
  ['/', '/', '/', '/', '/', '/'],
  ['/a', '/a', '/a', '/a', '/a', '/a'],
  [
    '/a/b?x=/../y//z%2e',
    '/a/b?x=/../y//z%2e',
    '/a/b?x=/../y//z%2e',
    '/a/b?x=/../y//z%2e',
    '/a/b?x=/../y//z%2e',
    '/a/b?x=/../y//z%2e',
  ],
  ['/a/./b', '/a/./b', '/a/b', '/a/./b', '/a/b', '/a/b'],
  ['/a/../b', '/a/../b', '/b', '/a/../b', '/b', '/b'],
  ['/../..', '/../..', '/', '/../..', '/', '/'],
  [
    '/../../etc/passwd',
    '/../../etc/passwd',
    '/etc/passwd',
    '/../../etc/passwd',
    '/etc/passwd',
    '/etc/passwd',
  ],
  ['/a/..', '/a/..', '/', '/a/..', '/', '/'],
  ['/a/.', '/a/.', '/a/', '/a/.', '/a/', '/a/'],
  ['/...', '/...', '/...', '/...', '/...', '/...'],
  ['/a/..b', '/a/..b', '/a/..b', '/a/..b', '/a/..b', '/a/..b'],
  ['/%2e', '/%2e', '/', '/%2e', '/', '/'],
  ['/%2E%2e', '/%2E%2e', '/', '/%2E%2e', '/', '/'],
  ['/a/%2e%2e/b', '/a/%2e%2e/b', '/b', '/a/%2e%2e/b', '/b', '/b'],
  ['/a/%2E./b', '/a/%2E./b', '/b', '/a/%2E./b', '/b', '/b'],
  ['/a/.%2e/b', '/a/.%2e/b', '/b', '/a/.%2e/b', '/b', '/b'],
  ['/a%2eb', '/a%2eb', '/a.b', '/a%2eb', '/a.b', '/a.b'],
  [
    '/a/%252e%252e/b',
    '/a/%252e%252e/b',
    '/a/%252e%252e/b',
    '/a/%252e%252e/b',
    '/a/%252e%252e/b',
    '/a/%252e%252e/b',
  ],
  ['/;', '/;', '/;', '/;', '/;', '/;'],
  ['/.;', '/.;', '/', '/.;', '/', '/'],
  ['/.;/a', '/.;/a', '/a', '/.;/a', '/a', '/a'],
  ['/a/..;/b', '/a/..;/b', '/b', '/a/..;/b', '/b', '/b'],
  ['/a/..;x=y/b', '/a/..;x=y/b', '/b', '/a/..;x=y/b', '/b', '/b'],
  ['/a/%2e%2e;/b', '/a/%2e%2e;/b', '/b', '/a/%2e%2e;/b', '/b', '/b'],
  ['/a/..%3b/b', '/a/..%3b/b', '/a/..%3b/b', '/a/..%3b/b', '/a/..%3b/b', '/a/..%3b/b'],
  ['/a;x/b', '/a;x/b', '/a;x/b', '/a;x/b', '/a;x/b', '/a;x/b'],
  ['/\\', '/\\', '//', '/\\', '/', '/'],
  ['/a\\b', '/a\\b', '/a/b', '/a\\b', '/a/b', '/a/b'],
  ['/a\\..\\b', '/a\\..\\b', '/b', '/a\\..\\b', '/b', '/b'],
  ['/a/..\\b', '/a/..\\b', '/b', '/a/..\\b', '/b', '/b'],
  ['/a/%5c../b', '/a/%5c../b', '/a/%5c../b', '/a/%5c../b', '/a/%5c../b', '/a/b'],
  ['/a%5cb', '/a%5cb', '/a%5cb', '/a%5cb', '/a%5cb', '/a/b'],
  ['/a%5Cb', '/a%5Cb', '/a%5Cb', '/a%5Cb', '/a%5Cb', '/a/b'],
  ['//', '//', '//', '/', '/', '/'],
  ['//a//b', '//a//b', '//a//b', '/a/b', '/a/b', '/a/b'],
  ['///', '///', '///', '/', '/', '/'],
  [
    '//example.com/a',
    '//example.com/a',
    '//example.com/a',
    '/example.com/a',
    '/example.com/a',
    '/example.com/a',
  ],
  ['/a//../b', '/a//../b', '/a/b', '/a/../b', '/a/b', '/a/b'],
  ['/a/%2f/b', '/a/%2f/b', '/a/%2f/b', '/a/%2f/b', '/a/%2f/b', '/a/b'],
  ['/a%2fb', '/a%2fb', '/a%2fb', '/a%2fb', '/a%2fb', '/a/b'],
  ['/a%2F..%2Fb', '/a%2F..%2Fb', '/a%2F..%2Fb', '/a%2F..%2Fb', '/a%2F..%2Fb', '/b'],
  ['/a%2f%2fb', '/a%2f%2fb', '/a%2f%2fb', '/a%2f%2fb', '/a%2f%2fb', '/a/b'],
  ['/a%252fb', '/a%252fb', '/a%252fb', '/a%252fb', '/a%252fb', '/a%252fb'],
  ['/%', '/%', '/%', '/%', '/%', '/%'],
  ['/%2', '/%2', '/%2', '/%2', '/%2', '/%2'],
  ['/%zz', '/%zz', '/%zz', '/%zz', '/%zz', '/%zz'],
  ['/a%/b', '/a%/b', '/a%/b', '/a%/b', '/a%/b', '/a%/b'],
  ['/%%2e%2e/', '/%%2e%2e/', '/%../', '/%%2e%2e/', '/%../', '/%../'],
  ['/%%300', '/%%300', '/%2500', '/%%300', '/%2500', '/%2500'],
  ['/%00', '/%00', BAD_PATH, '/%00', BAD_PATH, BAD_PATH],
  ['/a#b', BAD_PATH, BAD_PATH, BAD_PATH, BAD_PATH, BAD_PATH],
  ['/#', BAD_PATH, BAD_PATH, BAD_PATH, BAD_PATH, BAD_PATH],
  ['/a?b#c', BAD_PATH, BAD_PATH, BAD_PATH, BAD_PATH, BAD_PATH],
  ['/a%23b', '/a%23b', '/a%23b', '/a%23b', '/a%23b', '/a%23b'],
  ['/a%3fb', '/a%3fb', '/a%3fb', '/a%3fb', '/a%3fb', '/a%3fb'],
  ['/caf\xc3\xa9', '/caf\xc3\xa9', '/caf%C3%A9', '/caf\xc3\xa9', '/caf%C3%A9', '/caf%C3%A9'],
  ['/\xff\xfe', '/\xff\xfe', '/%FF%FE', '/\xff\xfe', '/%FF%FE', '/%FF%FE'],
  [
    '/%c0%ae%c0%ae/',
    '/%c0%ae%c0%ae/',
    '/%c0%ae%c0%ae/',
    '/%c0%ae%c0%ae/',
    '/%c0%ae%c0%ae/',
    '/%c0%ae%c0%ae/',
  ],
  ['/a|b', '/a|b', '/a%7Cb', '/a|b', '/a%7Cb', '/a%7Cb'],
  ['/a%20b', '/a%20b', '/a%20b', '/a%20b', '/a%20b', '/a%20b'],
  ['/%41%7A%2d', '/%41%7A%2d', '/Az-', '/%41%7A%2d', '/Az-', '/Az-'],
  ['/%7Eu', '/%7Eu', '/~u', '/%7Eu', '/~u', '/~u'],
  ['*', BAD_TARGET, BAD_TARGET, BAD_TARGET, BAD_TARGET, BAD_TARGET],
  ['http://h.test', '/', '/', '/', '/', '/'],
  ['http://h.test/a/../b', '/a/../b', '/b', '/a/../b', '/b', '/b'],
  ['http://h.test?x', '/?x', '/?x', '/?x', '/?x', '/?x'],
  ['http://h.test#x', BAD_PATH, BAD_PATH, BAD_PATH, BAD_PATH, BAD_PATH],
  ['/a?', '/a?', '/a?', '/a?', '/a?', '/a?'],
  ['/a?x=%2f', '/a?x=%2f', '/a?x=%2f', '/a?x=%2f', '/a?x=%2f', '/a?x=%2f'],
  ['/a/?/../b', '/a/?/../b', '/a/?/../b', '/a/?/../b', '/a/?/../b', '/a/?/../b'],
  ['/a\x7f', BAD_TARGET, BAD_TARGET, BAD_TARGET, BAD_TARGET, BAD_TARGET],
  ['/a\tb', BAD_TARGET, BAD_TARGET, BAD_TARGET, BAD_TARGET, BAD_TARGET],
];

const BOTH = { normalize_path: true, merge_slashes: true };
const escaped = (action: string) => ({ ...BOTH, path_with_escaped_slashes_action: action });

const ROWS = TABLE.flatMap(([sent, off, normalize, merge, both, forward]) => {
  const same = both === forward || forward === BAD_PATH;
  return [
    [sent, 'nothing', {}, off],
    [sent, 'normalize_path', { normalize_path: true }, normalize],
    [sent, 'merge_slashes', { merge_slashes: true }, merge],
    [sent, 'both', BOTH, both],
    [sent, 'KEEP_UNCHANGED', escaped('KEEP_UNCHANGED'), both],
    [sent, 'UNESCAPE_AND_FORWARD', escaped('UNESCAPE_AND_FORWARD'), forward],
    [sent, 'UNESCAPE_AND_REDIRECT', escaped('UNESCAPE_AND_REDIRECT'), same ? both : `307 ${forward}`],
    [sent, 'REJECT_REQUEST', escaped('REJECT_REQUEST'), same ? both : BAD_PATH],
  ] as [string, string, object, string][];
});

describe('the path that is sent, and the one path that routes, filters and upstreams get', () => {
  test.each(ROWS)('%j with %s', async (sent, _what, manager, became) => {
    const seen: string[] = [];
    const rig = new ManagerRig({
      manager: manager as never,
      routes: [
        { name: 'exact', match: { path: routePath(became) }, route: { cluster: 'c' } },
        { name: 'other', match: { prefix: '/' }, route: { cluster: 'c' } },
      ],
      filters: {
        looks: (stream) => ({
          onRequestHeaders: (headers) => {
            seen.push(headers.path, stream.requestHeaders.path);
          },
        }),
      },
    });
    await rig.send(`GET ${sent} HTTP/1.1\r\nhost: a.test\r\n\r\n`);
    const { status, header } = rig.response;
    if (status !== 200) {
      const text = status === 307 ? `307 ${header('location')}` : `${status} ${details(rig)}`;
      // The terminal filter is made for the response hooks of the refusal, and hears of no request.
      expect([text, seen, rig.upstream]).toEqual([became, [], ['complete']]);
      return;
    }
    expect(seen).toEqual([became, became]);
    expect(await wireTarget(rig.requests[0] as RequestHeaders)).toBe(became);
    if (isUtf8(became)) expect(rig.lastLog.info.route?.routeName).toBe('exact');
  });
});

const details = (rig: ManagerRig): string => rig.lastLog.info.responseCodeDetails;

/** A path as a config holds it: text, without the query. */
function routePath(path: string): string {
  return Buffer.from(path.replace(/\?.*/s, ''), 'latin1').toString('utf8') || '/';
}

function isUtf8(bytes: string): boolean {
  return Buffer.from(Buffer.from(bytes, 'latin1').toString('utf8'), 'utf8').toString('latin1') === bytes;
}

/** The target that a connection upstream carries. */
async function wireTarget(headers: RequestHeaders): Promise<string | undefined> {
  const pair = connectionPair();
  const peer = new ConnectionRecorder(pair.client);
  const codec = createClientCodec(pair.server, { onProtocolError() {}, onStreamComplete() {} } as never, {});
  codec.newStream({} as never).headers(headers, true);
  pair.run();
  return peer.bytes.toString('latin1').split(' ')[1];
}

describe('path_with_escaped_slashes_action', () => {
  test.each([
    ['unset', {}, 2, '400 path_normalization_failed'],
    ['the default of the implementation', { path_with_escaped_slashes_action: 0 }, 3, '307 /a/b'],
    ['unset, and nothing at run time', {}, 0, '/a%2fb'],
    ['set: the runtime is not asked', { path_with_escaped_slashes_action: 'KEEP_UNCHANGED' }, 2, '/a%2fb'],
  ])('%s', async (_what, manager, atRunTime, became) => {
    const runtime = {
      ...emptyRuntime,
      getInteger: (key: string, fallback: number) =>
        key === 'http_connection_manager.path_with_escaped_slashes_action' ? atRunTime : fallback,
    };
    const rig = new ManagerRig({ manager, context: { runtime } });
    await rig.request('GET /a%2fb HTTP/1.1');
    const { status, header } = rig.response;
    const text =
      status === 200
        ? rig.requests[0]?.path
        : `${status} ${status === 307 ? header('location') : details(rig)}`;
    expect(text).toBe(became);
  });
});
