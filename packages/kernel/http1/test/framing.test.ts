import { describe, expect, it } from 'vitest';
import { clientRig, request, response, serverRig } from './fake-connection.ts';

type Lines = readonly (readonly [string, string])[];

/** What the server side writes for one response. */
function respond(
  head: string,
  status: number,
  lines: Lines,
  body: readonly string[] | undefined,
): { out: string; done: number; completed: number; closed: string | undefined } {
  const rig = serverRig({ acceptHttp10: true });
  rig.feed(head);
  const encoder = rig.exchanges[0]?.encoder;
  encoder?.headers(response(status, lines), body === undefined);
  body?.forEach((chunk, i) => {
    encoder?.body(Buffer.from(chunk), i === body.length - 1, false);
  });
  return {
    out: rig.connection.take(),
    done: rig.done,
    completed: rig.completed,
    closed: rig.connection.closed,
  };
}

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const HEAD = 'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n';
const OLD = 'GET / HTTP/1.0\r\nHost: a\r\n\r\n';
const OLD_KEEP = 'GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n';
const CLOSE = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Keep-Alive, Close\r\n\r\n';
const CL5: Lines = [['content-length', '5']];

describe('how a response is framed', () => {
  it.each<
    [string, string, number, Lines, string[] | undefined, string, 'reused' | 'done' | 'flush' | 'reset']
  >([
    ['length given', GET, 200, CL5, ['hello'], 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello', 'reused'],
    [
      'no length',
      GET,
      200,
      [],
      ['hel', 'lo'],
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n',
      'reused',
    ],
    ['no body', GET, 404, [], undefined, 'HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n', 'reused'],
    [
      'an empty body after the head',
      GET,
      200,
      [],
      [''],
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      'reused',
    ],
    [
      'unknown status',
      GET,
      299,
      [],
      undefined,
      'HTTP/1.1 299 Unknown\r\ncontent-length: 0\r\n\r\n',
      'reused',
    ],
    [
      'body longer than its length',
      GET,
      200,
      CL5,
      ['hello!', 'more'],
      'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello',
      'done',
    ],
    [
      'body shorter than its length',
      GET,
      200,
      CL5,
      ['hell'],
      'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell',
      'flush',
    ],
    [
      'length without a body',
      GET,
      200,
      CL5,
      undefined,
      'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n',
      'flush',
    ],
    [
      'a second framing header',
      GET,
      200,
      [
        ['transfer-encoding', 'gzip'],
        ['content-length', '5'],
      ],
      ['hello'],
      'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello',
      'reused',
    ],
    [
      'equal lengths',
      GET,
      200,
      [
        ['content-length', '5'],
        ['content-length', '5'],
      ],
      ['hello'],
      'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello',
      'reused',
    ],
    [
      'HEAD with a length',
      HEAD,
      200,
      CL5,
      undefined,
      'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n',
      'reused',
    ],
    [
      'HEAD without a length',
      HEAD,
      200,
      [],
      undefined,
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n',
      'reused',
    ],
    [
      'HEAD with a body',
      HEAD,
      200,
      [],
      ['hello'],
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n',
      'reused',
    ],
    ['204', GET, 204, [], undefined, 'HTTP/1.1 204 No Content\r\n\r\n', 'reused'],
    ['204 with a length', GET, 204, CL5, ['hello'], 'HTTP/1.1 204 No Content\r\n\r\n', 'reused'],
    [
      '304 with a length',
      GET,
      304,
      CL5,
      undefined,
      'HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n',
      'reused',
    ],
    ['304 with a body', GET, 304, [], ['hello'], 'HTTP/1.1 304 Not Modified\r\n\r\n', 'reused'],
    [
      'request says close',
      CLOSE,
      200,
      [],
      undefined,
      'HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n',
      'done',
    ],
    [
      'response says close',
      GET,
      200,
      [['connection', 'x, close']],
      undefined,
      'HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n',
      'done',
    ],
    [
      'other connection options',
      GET,
      200,
      [['connection', 'keep-alive, x']],
      undefined,
      'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n',
      'reused',
    ],
    [
      'HTTP/1.0 without a length',
      OLD,
      200,
      [],
      ['hel', 'lo'],
      'HTTP/1.0 200 OK\r\nconnection: close\r\n\r\nhello',
      'done',
    ],
    [
      'HTTP/1.0 with a length',
      OLD,
      200,
      CL5,
      ['hello'],
      'HTTP/1.0 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello',
      'done',
    ],
    [
      'HTTP/1.0 keep-alive, without a length',
      OLD_KEEP,
      200,
      [],
      ['hello'],
      'HTTP/1.0 200 OK\r\nconnection: close\r\n\r\nhello',
      'done',
    ],
    [
      'HTTP/1.0 keep-alive, with a length',
      OLD_KEEP,
      200,
      CL5,
      ['hello'],
      'HTTP/1.0 200 OK\r\ncontent-length: 5\r\nconnection: keep-alive\r\n\r\nhello',
      'reused',
    ],
  ])('%s', (_, head, status, lines, body, out, fate) => {
    const result = respond(head, status, lines, body);
    expect(result.out).toBe(out);
    expect([result.completed, result.done, result.closed]).toEqual(
      fate === 'reused' ? [1, 0, undefined] : fate === 'done' ? [0, 1, undefined] : [0, 0, fate],
    );
  });

  it('cuts an HTTP/1.0 body by a TCP reset, so that it does not seem complete', () => {
    const rig = serverRig({ acceptHttp10: true });
    rig.feed(OLD);
    rig.exchanges[0]?.encoder.headers(response(200), false);
    rig.exchanges[0]?.encoder.body(Buffer.from('hel'), false, false);
    rig.exchanges[0]?.encoder.reset('local-reset');
    expect(rig.connection.closed).toBe('reset');
  });

  it('sends 1xx before the final head, never to HTTP/1.0, and no 101', () => {
    for (const [head, expected] of [
      [GET, 'HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n'],
      [OLD, ''],
    ] as const) {
      const rig = serverRig({ acceptHttp10: true });
      rig.feed(head);
      rig.exchanges[0]?.encoder.informational(response(103, [['link', 'x']]));
      rig.exchanges[0]?.encoder.informational(response(101));
      rig.exchanges[0]?.encoder.informational(response(200));
      expect(rig.connection.take()).toBe(expected);
    }
  });

  it('says close once it drains, or when it is told to', () => {
    const rig = serverRig();
    rig.onRequest = ({ encoder }) => encoder.headers(response(200), true);
    rig.feed(GET);
    expect(rig.connection.take()).not.toContain('connection');
    rig.codec.startDrain();
    rig.feed(GET);
    expect(rig.connection.take()).toContain('connection: close\r\n');
    expect(rig.done).toBe(1);
    const told = serverRig();
    told.feed(GET);
    told.exchanges[0]?.encoder.closeAfterResponse();
    told.exchanges[0]?.encoder.headers(response(200), true);
    expect(told.connection.take()).toContain('connection: close\r\n');
    expect(told.done).toBe(1);
  });

  it.each([
    ['GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', true],
    ['POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi', true],
    ['POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', true],
    [OLD, true],
    // Half of the request is still to come.
    ['POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nh', false],
    // It sends more than it had announced.
    [`GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n${GET}`, false],
    // We end the connection, not the peer.
    [GET, false],
  ])('knows whether the peer of %j may still send', (bytes, peerDone) => {
    const rig = serverRig({ acceptHttp10: true });
    rig.feed(bytes);
    rig.codec.startDrain();
    rig.exchanges[0]?.encoder.headers(response(200), true);
    expect([rig.done, rig.codec.peerDone]).toEqual([1, peerDone]);
  });

  it('writes names in proper case', () => {
    const rig = serverRig({ headerKeyFormat: 'proper_case_words' });
    rig.feed(GET);
    rig.exchanges[0]?.encoder.headers(
      response(200, [
        ['x-request-id', '1'],
        ['etag', 'x'],
      ]),
      false,
    );
    expect(rig.connection.take()).toBe(
      'HTTP/1.1 200 OK\r\nX-Request-Id: 1\r\nEtag: x\r\nTransfer-Encoding: chunked\r\n\r\n',
    );
  });

  it('passes trailers on only where they are enabled', () => {
    for (const enableTrailers of [false, true]) {
      const rig = serverRig({ enableTrailers });
      rig.feed(
        'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-T: 1\r\nContent-Length: 7\r\n\r\n',
      );
      const [exchange] = rig.exchanges;
      expect(exchange?.trailers).toEqual(enableTrailers ? [['x-t', '1']] : undefined);
      exchange?.encoder.headers(response(200), false);
      exchange?.encoder.trailers(response(200, [['grpc-status', '0']]));
      expect(rig.connection.take()).toMatch(
        enableTrailers ? /\r\n0\r\ngrpc-status: 0\r\n\r\n$/ : /\r\n\r\n0\r\n\r\n$/,
      );
      expect(rig.completed).toBe(1);
    }
  });
});

describe('what is never written', () => {
  const BAD: Lines[] = [
    [['x', 'a\r\nset-cookie: b']],
    [['x', 'a\rb']],
    [['x', 'a\nb']],
    [['x', 'a\0b']],
    [['x', 'a\u010ab']],
    [['x y', 'a']],
    [['x\r\ny', 'a']],
    [['', 'a']],
    [['x:', 'a']],
    [['Transfer-Encoding', 'chunked']],
    [
      ['content-length', '5'],
      ['content-length', '6'],
    ],
    [['content-length', '5, 5']],
    [['content-length', '-1']],
  ];

  it.each(BAD)('a response with %j', (...lines) => {
    const rig = serverRig();
    rig.feed(GET);
    rig.exchanges[0]?.encoder.headers(response(200, lines as Lines), false);
    expect(rig.connection.take()).toBe(
      'HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n',
    );
    expect(rig.exchanges[0]?.reset).toBe('local-reset: http1.invalid_characters');
    expect(rig.done).toBe(1);
  });

  it.each(BAD)('a request with %j', (...lines) => {
    const rig = clientRig();
    const { answer } = rig.send(request('GET', '/', 'a', lines as Lines));
    expect(rig.connection.take()).toBe('');
    expect(answer.reset).toBe('local-reset: http1.invalid_characters');
    expect(rig.completed).toEqual([true]);
  });

  it.each([
    ['GET /', '/', 'a'],
    ['GET\r\n', '/', 'a'],
    ['', '/', 'a'],
    ['GET', '/a b', 'a'],
    ['GET', '/a\r\nX: y', 'a'],
    ['GET', '/a\tb', 'a'],
    ['GET', '/a\0', 'a'],
    ['GET', '/\u0120', 'a'],
    ['GET', '', 'a'],
    ['GET', 'a', 'a'],
    ['GET', '*', 'a'],
    ['GET', '/', ''],
    ['GET', '/', 'a\r\nX: y'],
    ['GET', '/', 'a b'],
    ['CONNECT', '', 'a b:80'],
  ])('a request line of %j %j to %j', (method, path, authority) => {
    const rig = clientRig();
    const { answer } = rig.send(request(method, path, authority));
    expect(rig.connection.take()).toBe('');
    expect(answer.reset).toBe('local-reset: http1.invalid_characters');
    expect(rig.completed).toEqual([true]);
    rig.send(request('GET', '/', 'a'));
    expect(rig.connection.take()).toBe('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  });
});

describe('how a request is framed', () => {
  it.each<[string, string, Lines, string[] | undefined, string]>([
    ['GET', '/', [], undefined, 'GET / HTTP/1.1\r\nhost: a\r\n\r\n'],
    ['POST without a body', '/', [], undefined, 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n'],
    ['DELETE', '/', [], undefined, 'DELETE / HTTP/1.1\r\nhost: a\r\n\r\n'],
    [
      'POST with a length',
      '/',
      CL5,
      ['hello'],
      'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello',
    ],
    [
      'POST',
      '/',
      [],
      ['hello'],
      'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
    ],
    ['OPTIONS', '*', [], undefined, 'OPTIONS * HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n'],
    [
      'POST with two framings',
      '/',
      [['transfer-encoding', 'x'], ...CL5],
      ['hello'],
      'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello',
    ],
  ])('%s %s', (name, path, lines, body, out) => {
    const rig = clientRig();
    const { encoder } = rig.send(request(name.split(' ')[0] as string, path, 'a', lines), body === undefined);
    body?.forEach((chunk, i) => {
      encoder.body(Buffer.from(chunk), i === body.length - 1, false);
    });
    expect(rig.connection.take()).toBe(out);
  });

  it.each([
    ['longer', 'hello!'],
    ['shorter', 'hell'],
  ])('closes when the body is %s than its length', (_, body) => {
    const rig = clientRig();
    const { encoder, answer } = rig.send(request('POST', '/', 'a', CL5), false);
    encoder.body(Buffer.from(body), true, false);
    expect(rig.connection.out.length).toBeLessThanOrEqual(
      'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello'.length,
    );
    expect(rig.connection.closed).toBe('now');
    expect(answer.reset).toMatch(/^local-reset/);
  });

  it('writes absolute-form targets when it is told to', () => {
    const rig = clientRig({ sendFullyQualifiedUrl: true, headerKeyFormat: 'proper_case_words' });
    rig.send(request('GET', '/x', 'a:80', [['x-y', 'z']]));
    expect(rig.connection.take()).toBe('GET http://a:80/x HTTP/1.1\r\nHost: a:80\r\nX-Y: z\r\n\r\n');
  });
});
