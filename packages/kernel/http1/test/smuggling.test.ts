import { describe, expect, it } from 'vitest';
import { clientRig, request, response, serverRig } from './fake-connection.ts';
import { CHUNK_VECTORS, HEAD_VECTORS, RESPONSE_VECTORS } from './smuggling-vectors.ts';

/** What would be served if the end of a vector were mistaken for the end of a request. */
const SECOND = 'GET /evil HTTP/1.1\r\nHost: a.example\r\n\r\n';

/** The ways in which bytes may be cut on their way. */
const CUTS: readonly [string, (bytes: Buffer) => Buffer[]][] = [
  ['whole', (bytes) => [bytes]],
  ['byte by byte', (bytes) => Array.from(bytes, (_, i) => bytes.subarray(i, i + 1))],
];

describe.each(CUTS)('requests that are refused, %s', (_, cut) => {
  it.each(HEAD_VECTORS)('$section: $name', ({ bytes, status, details }) => {
    const rig = serverRig({ acceptHttp10: true });
    for (const part of cut(Buffer.from(bytes + SECOND, 'latin1'))) rig.feed(part);
    expect(rig.exchanges).toHaveLength(0);
    expect(rig.errors).toHaveLength(1);
    expect(rig.errors[0]?.status).toBe(status);
    if (cut === CUTS[0]?.[1]) expect(rig.errors[0]?.details).toBe(details);
    expect(rig.connection.out).toMatch(
      new RegExp(`^HTTP/1.1 ${status} .*\r\n[^]*connection: close\r\n\r\n$`),
    );
    expect(rig.done).toBe(1);
    expect(rig.completed).toBe(0);
  });

  it.each(CHUNK_VECTORS)('$section: chunked body, $name', ({ bytes, status, details }) => {
    const rig = serverRig({ enableTrailers: true });
    for (const part of cut(Buffer.from(bytes + SECOND, 'latin1'))) rig.feed(part);
    expect(rig.exchanges).toHaveLength(1);
    expect(rig.exchanges[0]?.ended).toBe(false);
    expect(rig.errors).toHaveLength(1);
    expect(rig.errors[0]?.status).toBe(status);
    if (cut === CUTS[0]?.[1]) expect(rig.errors[0]?.details).toBe(details);
    expect(rig.done).toBe(1);
  });
});

describe.each(CUTS)('responses that are refused, %s', (_, cut) => {
  it.each(RESPONSE_VECTORS)('$section: $name', ({ bytes, details, method }) => {
    const rig = clientRig();
    const { answer } = rig.send(request(method ?? 'GET', '/', 'a.example'));
    for (const part of cut(Buffer.from(bytes, 'latin1'))) rig.feed(part);
    if (cut === CUTS[0]?.[1]) expect(rig.errors).toEqual([details]);
    else expect(rig.errors).toHaveLength(1);
    expect(answer.reset).toMatch(/^protocol-error: http1\./);
    expect(answer.ended).toBe(false);
    expect(rig.completed).toEqual([]);
    expect(rig.codec.activeStreams).toBe(0);
    expect(() => rig.codec.newStream(answer)).toThrow();
  });
});

describe('what is taken', () => {
  it.each([
    ['one empty line before', '\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n', '/'],
    ['two empty lines before', '\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n', '/'],
    ['obs-text in a value', 'GET / HTTP/1.1\r\nHost: a\r\nX: \xe9\xff\r\n\r\n', '/'],
    ['no blank behind the colon', 'GET / HTTP/1.1\r\nHost:a\r\n\r\n', '/'],
    ['tabs around a value', 'GET / HTTP/1.1\r\nHost:\ta\t \r\n\r\n', '/'],
    ['an empty value', 'GET / HTTP/1.1\r\nHost: a\r\nX:\r\n\r\n', '/'],
    ['IPv6 host', 'GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n', '/'],
    ['OPTIONS *', 'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n', '*'],
    ['absolute form', 'GET http://b.example:81/x?y HTTP/1.1\r\nHost: a\r\n\r\n', '/x?y'],
    ['absolute form without a path', 'GET HTTP://b.example:81 HTTP/1.1\r\nHost: a\r\n\r\n', '/'],
    ['absolute form with a query only', 'GET http://b.example:81?q HTTP/1.1\r\nHost: a\r\n\r\n', '/?q'],
    ['absolute form, OPTIONS', 'OPTIONS http://b.example:81 HTTP/1.1\r\nHost: a\r\n\r\n', '*'],
    ['UTF-8 in the target', 'GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n', '/\xc3\xa9'],
    ['CL with leading zeros', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 000\r\n\r\n', '/'],
    ['TE in upper case', 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n', '/'],
    [
      'every form of chunk extension',
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;a;b=c ; d = e;f="g;\\"\r\nx\r\n0;z\r\n\r\n'.replace(
        'g;\\"',
        'g;\\"h"',
      ),
      '/',
    ],
    [
      'blank before a chunk extension',
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1 ;x\r\na\r\n0\r\n\r\n',
      '/',
    ],
  ])('%s', (_, bytes, path) => {
    const rig = serverRig();
    rig.feed(bytes);
    expect(rig.errors).toEqual([]);
    expect(rig.exchanges).toHaveLength(1);
    expect(rig.exchanges[0]?.ended).toBe(true);
    expect(rig.exchanges[0]?.headers?.path).toBe(path);
    if (bytes.includes('b.example')) {
      expect(rig.exchanges[0]?.headers?.authority).toBe('b.example:81');
      expect(rig.exchanges[0]?.headers?.scheme).toBe('http');
    }
  });

  it('ignores what follows `connection: close`', () => {
    const rig = serverRig();
    rig.onRequest = ({ encoder }) => encoder.headers(response(200), true);
    rig.feed(`GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n${SECOND}`);
    rig.feed(SECOND);
    expect(rig.exchanges).toHaveLength(1);
    expect(rig.done).toBe(1);
    expect(rig.connection.out).toContain('connection: close\r\n');
  });
});
