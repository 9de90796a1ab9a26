import { describe, expect, it } from 'vitest';
import { clientRig, request, response, serverRig } from './fake-connection.ts';

describe('the server side', () => {
  it('answers requests on one connection, one after the other', () => {
    const rig = serverRig();
    rig.onRequest = ({ encoder }) => encoder.headers(response(200, [['x-a', 'b']]), true);
    rig.feed('GET /one HTTP/1.1\r\nHost: a.example\r\nX-Tag:  some value \r\n\r\n');
    expect(rig.exchanges[0]?.headers?.entries()).toEqual([
      [':authority', 'a.example'],
      [':path', '/one'],
      [':method', 'GET'],
      ['x-tag', 'some value'],
    ]);
    expect(rig.connection.take()).toBe('HTTP/1.1 200 OK\r\nx-a: b\r\ncontent-length: 0\r\n\r\n');
    rig.feed('POST /two HTTP/1.1\r\nhost: a.example:80\r\ncontent-length: 5\r\n\r\nhello');
    expect(rig.exchanges[1]?.body).toBe('hello');
    expect(rig.completed).toBe(2);
    expect(rig.done).toBe(0);
  });

  it('reads the next of pipelined requests after the response to the one before', async () => {
    const rig = serverRig();
    const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
    rig.feed(get('/1') + get('/2') + get('/3'));
    expect(rig.exchanges).toHaveLength(1);
    expect(rig.connection.readingPaused).toBe(true);
    rig.exchanges[0]?.encoder.headers(response(200), true);
    await Promise.resolve();
    expect(rig.exchanges.map((exchange) => exchange.headers?.path)).toEqual(['/1', '/2']);
    rig.onRequest = ({ encoder }) => encoder.headers(response(204), true);
    rig.exchanges[1]?.encoder.headers(response(200), true);
    await Promise.resolve();
    expect(rig.exchanges).toHaveLength(3);
    expect(rig.completed).toBe(3);
    expect(rig.connection.readingPaused).toBe(false);
  });

  it('reads and writes chunked bodies', () => {
    const rig = serverRig();
    rig.feed(
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nX-T: 1\r\n\r\n',
    );
    const [exchange] = rig.exchanges;
    expect(exchange?.body).toBe('hello world');
    expect(exchange?.ended).toBe(true);
    expect(exchange?.trailers).toBeUndefined();
    exchange?.encoder.headers(response(200), false);
    exchange?.encoder.body(Buffer.from('0123456789abcdef'), false, false);
    exchange?.encoder.body(Buffer.alloc(0), true, false);
    expect(rig.connection.take()).toBe(
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n',
    );
    expect(rig.completed).toBe(1);
  });
});

describe('the client side', () => {
  it('sends requests and reads responses on one connection', () => {
    const rig = clientRig();
    const { answer } = rig.send(request('GET', '/x?y', 'up.example', [['accept', '*/*']]));
    expect(rig.connection.take()).toBe('GET /x?y HTTP/1.1\r\nhost: up.example\r\naccept: */*\r\n\r\n');
    rig.feed('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer: s\r\n\r\nok');
    expect(answer.headers?.status).toBe(200);
    expect(answer.body).toBe('ok');
    expect(rig.completed).toEqual([true]);
    const second = rig.send(request('POST', '/', 'up.example'), false);
    second.encoder.body(Buffer.from('abc'), true, false);
    expect(rig.connection.take()).toBe(
      'POST / HTTP/1.1\r\nhost: up.example\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
    );
    rig.feed(
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nxyz\r\n0\r\n\r\n',
    );
    expect(second.answer.informational.map(({ status }) => status)).toEqual([100]);
    expect(second.answer.body).toBe('xyz');
    expect(rig.completed).toEqual([true, true]);
  });

  it('reads a body that ends with the connection', () => {
    const rig = clientRig();
    const { answer } = rig.send(request('GET', '/', 'a'));
    rig.feed('HTTP/1.1 200 OK\r\n\r\nsome');
    rig.feed(' more');
    expect(answer.ended).toBe(false);
    rig.codec.onPeerEnd();
    expect(answer.body).toBe('some more');
    expect(answer.ended).toBe(true);
    expect(rig.completed).toEqual([false]);
  });
});
