import { describe, expect, it } from 'vitest';
import { clientRig, request } from './fake-connection.ts';

const get = (method = 'GET') => request(method, '/', 'a');
const post = () => request('POST', '/', 'a', [['content-length', '5']]);
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

describe('when a connection may be used again', () => {
  it.each<[string, string, string, boolean, string]>([
    ['a length', 'GET', OK, true, 'ok'],
    [
      'chunks',
      'GET',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
      true,
      'ok',
    ],
    [
      'chunks and trailers',
      'GET',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n',
      true,
      'ok',
    ],
    ['length 0', 'GET', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', true, ''],
    ['204', 'GET', 'HTTP/1.1 204 No Content\r\n\r\n', true, ''],
    ['204 with length 0', 'GET', 'HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n', true, ''],
    ['304 with a length', 'GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n', true, ''],
    ['HEAD with a length', 'HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', true, ''],
    ['HEAD with chunked', 'HEAD', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', true, ''],
    ['no reason phrase', 'GET', 'HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n', true, ''],
    [
      'connection: close',
      'GET',
      'HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 2\r\n\r\nok',
      false,
      'ok',
    ],
    ['HTTP/1.0', 'GET', 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok', false, 'ok'],
    [
      'HTTP/1.0 with keep-alive',
      'GET',
      'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok',
      true,
      'ok',
    ],
    ['bytes behind it', 'GET', `${OK}HTTP/1.1 200 OK\r\n\r\n`, false, 'ok'],
    ['body behind HEAD', 'HEAD', OK, false, ''],
    ['body behind 204', 'GET', 'HTTP/1.1 204 No Content\r\n\r\nok', false, ''],
    ['1xx before', 'GET', `HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${OK}`, true, 'ok'],
  ])('%s', (_, method, bytes, reusable, body) => {
    const rig = clientRig();
    const { answer } = rig.send(get(method));
    rig.feed(bytes);
    expect(answer.ended).toBe(true);
    expect(answer.body).toBe(body);
    expect(rig.completed).toEqual([reusable]);
    expect(rig.errors).toEqual([]);
    expect(rig.codec.activeStreams).toBe(0);
  });

  it('is not when the response was complete before the request', () => {
    const rig = clientRig();
    const { answer, encoder } = rig.send(post(), false);
    rig.feed(OK);
    expect(answer.ended).toBe(true);
    expect(rig.completed).toEqual([]);
    encoder.body(Buffer.from('hello'), true, false);
    expect(rig.completed).toEqual([false]);
  });

  it('is not when the request still waits in our queue', () => {
    const rig = clientRig();
    rig.send(get());
    rig.connection.bufferedBytes = 1;
    rig.feed(OK);
    expect(rig.completed).toEqual([false]);
  });

  it('is when the response only began before the end of the request', () => {
    const rig = clientRig();
    const { encoder } = rig.send(post(), false);
    rig.feed(OK.slice(0, -1));
    encoder.body(Buffer.from('hello'), true, false);
    rig.feed('k');
    expect(rig.completed).toEqual([true]);
  });

  it('is not after GET with a body, or when the request said close', () => {
    for (const headers of [
      request('GET', '/', 'a', [['content-length', '1']]),
      request('POST', '/', 'a', [
        ['connection', 'close'],
        ['content-length', '1'],
      ]),
    ]) {
      const rig = clientRig();
      rig.send(headers, false).encoder.body(Buffer.from('x'), true, false);
      rig.feed(OK);
      expect(rig.completed).toEqual([false]);
    }
  });

  it('closes when a stream is given up in the middle', () => {
    const rig = clientRig();
    const { encoder, answer } = rig.send(get());
    rig.feed(OK.slice(0, -1));
    encoder.reset('local-reset');
    expect(rig.connection.closed).toBe('now');
    rig.feed('k');
    expect([answer.ended, answer.reset, rig.completed]).toEqual([false, undefined, []]);
  });

  it('closes when a stream whose request never ends is given up after the response', () => {
    const rig = clientRig();
    const { encoder } = rig.send(post(), false);
    rig.feed(OK);
    encoder.reset('local-reset');
    expect(rig.connection.closed).toBe('now');
  });

  it('does nothing when a stream is given up after the exchange, or before it', () => {
    const rig = clientRig();
    const { encoder } = rig.send(get());
    rig.feed(OK);
    encoder.reset('local-reset');
    expect(rig.connection.closed).toBeUndefined();
    const unused = clientRig();
    unused.codec.newStream({} as never).reset('local-reset');
    expect([unused.completed, unused.connection.closed]).toEqual([[true], undefined]);
  });
});

describe('bytes that nobody asked for', () => {
  it('on a new connection', () => {
    const rig = clientRig();
    rig.feed('HTTP/1.1 408 Request Timeout\r\n\r\n');
    expect(rig.errors).toEqual(['http1.codec_error']);
  });
  it('between exchanges', () => {
    const rig = clientRig();
    rig.send(get());
    rig.feed(OK);
    rig.feed('x');
    expect(rig.errors).toEqual(['http1.codec_error']);
  });
  it('before the request was sent', () => {
    const rig = clientRig();
    const { answer } = rig.send(request('GET', 'bad path', 'a'));
    expect(answer.reset).toBeDefined();
    rig.feed(OK);
    expect(rig.errors).toHaveLength(1);
  });
});

describe('the end of the connection', () => {
  it.each([
    ['before the response', ''],
    ['in the head', 'HTTP/1.1 200'],
    ['in a body of known length', OK.slice(0, -1)],
    ['in a chunked body', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab'],
    ['before the last chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n'],
    ['in the trailers', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n'],
  ])('%s resets the stream', (_, bytes) => {
    for (const how of ['end', 'close'] as const) {
      const rig = clientRig();
      const { answer } = rig.send(get());
      rig.feed(bytes);
      if (how === 'end') rig.codec.onPeerEnd();
      else rig.codec.onConnectionClosed('remote', '');
      expect(answer.ended).toBe(false);
      expect(answer.reset).toBe('connection-termination: ');
      expect(rig.completed).toEqual([]);
    }
  });

  it('is the end of a body without a length only when it was orderly', () => {
    for (const [reason, ended] of [
      ['', true],
      ['ECONNRESET', false],
    ] as const) {
      const rig = clientRig();
      const { answer } = rig.send(get());
      rig.feed('HTTP/1.1 200 OK\r\n\r\nbody');
      rig.codec.onConnectionClosed('remote', reason);
      expect(answer.ended).toBe(ended);
      expect(answer.reset).toBe(ended ? undefined : 'connection-termination: ECONNRESET');
    }
  });

  it('is no reset for who has had the whole response', () => {
    for (const how of ['end', 'close'] as const) {
      const rig = clientRig();
      const { answer } = rig.send(post(), false);
      rig.feed(OK);
      if (how === 'end') rig.codec.onPeerEnd();
      else rig.codec.onConnectionClosed('remote', 'ECONNRESET');
      expect([answer.ended, answer.reset, rig.codec.activeStreams]).toEqual([true, undefined, 0]);
    }
  });

  it('comes after what was kept for a receiver that had stopped', () => {
    const rig = clientRig();
    const { answer, encoder } = rig.send(get());
    answer.accept = false;
    rig.feed('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n');
    rig.codec.onConnectionClosed('remote', '');
    expect([answer.body, answer.reset]).toEqual(['a', undefined]);
    answer.accept = true;
    encoder.resumeBody();
    expect([answer.body, answer.ended, answer.reset]).toEqual(['ab', true, undefined]);
    expect(rig.completed).toEqual([false]);
  });

  it('closes when it cuts a response whose receiver had stopped: by then nobody else does', () => {
    const rig = clientRig();
    const { answer, encoder } = rig.send(get());
    answer.accept = false;
    rig.feed('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345');
    rig.codec.onPeerEnd();
    expect([answer.reset, rig.connection.open]).toEqual([undefined, true]);
    encoder.resumeBody();
    expect([answer.reset, rig.connection.open]).toEqual(['connection-termination: ', false]);
  });

  it('gives up the buffer of a last chunk that is kept: nobody may be left to say when it has gone', () => {
    const rig = clientRig();
    rig.connection.holdable = true;
    const { answer, encoder } = rig.send(get());
    answer.accept = false;
    rig.feed(`HTTP/1.1 200 OK\r\nContent-Length: 16384\r\n\r\n${'x'.repeat(16_384)}`);
    expect(answer.ended).toBe(true);
    expect([rig.connection.held, rig.connection.givenUp]).toEqual([false, 1]);
    expect(rig.completed).toEqual([true]);
    encoder.resumeBody();
    expect(rig.completed).toEqual([true]);
  });
});
