import { createServer, type Http2Server, type ServerHttp2Stream, type ServerOptions } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { Trailers } from '@dragoman/core';
import { FrameType } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { ClientRig, requestOf } from './rig.ts';
import { RawServer } from './raw-server.ts';

/** Lines of a request, pseudo-headers first. */
type Lines = readonly string[];

/** A server of Node's. */
async function serve(
  answer: (stream: ServerHttp2Stream, lines: Lines) => void,
  options: ServerOptions = {},
): Promise<{ port: number; server: Http2Server } & AsyncDisposable> {
  const server = createServer(options);
  server.on('session', (session) => session.on('error', () => {}));
  server.on('stream', (opened, _headers, _flags, raw) => {
    const stream = opened as ServerHttp2Stream;
    stream.on('error', () => {});
    answer(stream, raw as unknown as Lines);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    server,
    async [Symbol.asyncDispose]() {
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Answers with the request's body, and its trailers, when it has all of it. */
function echo(stream: ServerHttp2Stream): void {
  const chunks: Buffer[] = [];
  let trailers: Record<string, string> = {};
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.on('trailers', (fields) => {
    trailers = { ...fields } as Record<string, string>;
  });
  stream.on('end', () => {
    const withTrailers = Object.keys(trailers).length > 0;
    stream.respond({ ':status': 200 }, { waitForTrailers: withTrailers });
    if (withTrailers) stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    stream.end(Buffer.concat(chunks));
  });
}

const post = (fields: Record<string, string> = {}) => requestOf({ ':method': 'POST', ...fields });

describe('a request', () => {
  it('keeps the order and number of its lines, and loses those of HTTP/1.1 connections', async () => {
    let seen: Lines = [];
    await using server = await serve((stream, lines) => {
      seen = lines;
      stream.respond({ ':status': 204 }, { endStream: true });
    });
    await using rig = await ClientRig.open(server.port);
    const headers = requestOf({ ':path': '/p?q=1', 'x-b': '1', te: 'trailers' });
    for (const [name, value] of [
      ['x-a', 'ä'],
      ['x-b', '2'],
      ['connection', 'keep-alive'],
      ['keep-alive', '1'],
      ['proxy-connection', 'x'],
      ['transfer-encoding', 'chunked'],
      ['content-type', 'a'],
      ['content-type', 'b'],
    ] as const)
      headers.append(name, value);
    await rig.get(headers);
    expect(seen).toEqual([
      ...[':method', 'GET', ':scheme', 'http', ':path', '/p?q=1', ':authority', 'a.example'],
      ...['x-b', '1', 'te', 'trailers', 'x-a', 'ä', 'x-b', '2', 'content-type', 'a', 'content-type', 'b'],
    ]);
  });

  it.each([
    ['whole at once', [['abc', true]]],
    [
      'in pieces',
      [
        ['a', false],
        ['b', false],
        ['c', true],
      ],
    ],
    [
      'with an empty end',
      [
        ['abc', false],
        ['', true],
      ],
    ],
  ] as const)('has its body %s', async (_name, pieces) => {
    await using server = await serve(echo);
    await using rig = await ClientRig.open(server.port);
    const exchange = rig.send(post(), false);
    for (const [text, end] of pieces) {
      const chunk = Buffer.from(text);
      exchange.encoder.body(chunk, end, false);
      // It was lent only.
      chunk.fill('?');
    }
    await exchange.over();
    expect([exchange.text, exchange.events]).toEqual(['abc', ['headers:200', 'body end']]);
    expect(rig.told).toEqual(['complete']);
  });

  it('has its body later than its headers', async () => {
    await using server = await serve(echo);
    await using rig = await ClientRig.open(server.port);
    const exchange = rig.send(post(), false);
    for (let i = 0; i < 3; i++) await new Promise(setImmediate);
    exchange.encoder.body(Buffer.from('late'), true, true);
    expect((await exchange.over()).text).toBe('late');
  });

  it('that is whole at once goes out in two frames', async () => {
    await using server = await RawServer.start({});
    await using rig = await ClientRig.open(server.port);
    rig.send(post(), false).encoder.body(Buffer.from('x'), true, true);
    await rig.until(() => server.peer.of(FrameType.data).length > 0);
    expect(server.peer.of(FrameType.data).map(({ flags, payload }) => [flags, payload.length])).toEqual([
      [1, 1],
    ]);
  });

  it.each([0, 1])('has trailers behind %d chunks', async (chunks) => {
    await using server = await serve(echo);
    await using rig = await ClientRig.open(server.port);
    const exchange = rig.send(post(), false);
    if (chunks > 0) exchange.encoder.body(Buffer.from('x'), false, true);
    const trailers = new Trailers();
    trailers.append('x-t', '1');
    trailers.append('grpc-status', '0');
    exchange.encoder.trailers(trailers);
    await exchange.over();
    expect([exchange.text, exchange.trailers?.entries()]).toEqual([
      'x'.repeat(chunks),
      [
        ['x-t', '1'],
        ['grpc-status', '0'],
      ],
    ]);
  });

  it('goes on without trailers that cannot be sent', async () => {
    await using server = await serve(echo);
    await using rig = await ClientRig.open(server.port);
    for (const [name, value] of [
      ['x-t', 'a\nb'],
      ['x y', '1'],
    ] as const) {
      const exchange = rig.send(post(), false);
      exchange.encoder.body(Buffer.from('x'), false, true);
      const trailers = new Trailers();
      trailers.append(name, value);
      exchange.encoder.trailers(trailers);
      expect((await exchange.over()).events).toEqual(['headers:200', 'body end']);
    }
  });

  it.each([
    ['a line break in a value', { 'x-a': 'a\r\nb' }],
    ['a name that is none', { 'x a': 'b' }],
    ['a space in the path', { ':path': '/a b' }],
    ['no path', { ':path': '' }],
    ['a NUL in the authority', { ':authority': 'a\0b' }],
  ])('is not sent with %s', async (_name, fields: Readonly<Record<string, string>>) => {
    await using server = await RawServer.start({});
    await using rig = await ClientRig.open(server.port);
    const headers = requestOf(fields);
    if (fields[':path'] === '') headers.path = '';
    expect((await rig.get(headers)).events).toEqual(['reset:local-reset:http2.invalid.header.field']);
    expect([server.peer.of(FrameType.headers), rig.told]).toEqual([[], ['complete']]);
  });
});

describe('a response', () => {
  it('has any number of interim ones before it', async () => {
    await using server = await serve((stream) => {
      stream.additionalHeaders({ ':status': 100 });
      stream.additionalHeaders({ ':status': 103, link: '</a>' });
      stream.respond({ ':status': 200, 'x-a': ['1', '2'] });
      stream.end('done');
    });
    await using rig = await ClientRig.open(server.port);
    const exchange = await rig.get();
    expect(exchange.events).toEqual(['1xx:100', '1xx:103', 'headers:200', 'body end']);
    expect(exchange.headers?.getAll('x-a')).toEqual(['1', '2']);
  });

  it.each<[string, number, Readonly<Record<string, string>>]>([
    ['HEAD', 200, { 'content-length': '10' }],
    ['GET', 204, {}],
    ['GET', 304, { 'content-length': '10' }],
  ])('to %s with %d has no body', async (method, status, fields) => {
    await using server = await serve((stream) =>
      stream.respond({ ':status': status, ...fields }, { endStream: true }),
    );
    await using rig = await ClientRig.open(server.port);
    const exchange = await rig.get(requestOf({ ':method': method }));
    expect(exchange.events).toEqual([`headers:${status} end`]);
    expect(exchange.headers?.get('content-length')).toBe(fields['content-length']);
  });

  it('of trailers only is headers that end', async () => {
    await using server = await serve((stream) =>
      stream.respond({ ':status': 200, 'grpc-status': '14' }, { endStream: true }),
    );
    await using rig = await ClientRig.open(server.port);
    const exchange = await rig.get();
    expect([exchange.events, exchange.headers?.get('grpc-status')]).toEqual([['headers:200 end'], '14']);
  });

  it('tells what it moved', async () => {
    await using server = await serve((stream) => {
      stream.respond({ ':status': 200, 'x-a': 'b' });
      stream.end('12345');
    });
    await using rig = await ClientRig.open(server.port);
    const exchange = rig.send(post(), false);
    exchange.encoder.body(Buffer.from('123'), true, true);
    await exchange.over();
    const meter = exchange.encoder as unknown as { wireBytesSent: number; wireBytesReceived: number };
    expect(exchange.encoder.responseHeadBytes).toBeGreaterThan(':status200x-ab'.length);
    expect(meter.wireBytesReceived - exchange.encoder.responseHeadBytes).toBe(5 + 9);
    expect(meter.wireBytesSent).toBeGreaterThan(3 + ':methodPOST'.length);
    rig.connection.sampleBytes?.();
    expect(rig.connection.bytesRead).toBeGreaterThan(0);
  });
});

describe('back-pressure', () => {
  const MEGABYTES = 8;
  it('stops a response that nobody takes, and loses nothing', async () => {
    const chunk = Buffer.alloc(64 * 1024, 'x');
    let sent = 0;
    await using server = await serve((stream) => {
      stream.respond({ ':status': 200 });
      const write = (): void => {
        while (sent < MEGABYTES * 16) {
          sent++;
          if (!stream.write(chunk)) {
            stream.once('drain', write);
            return;
          }
        }
        stream.end();
      };
      write();
    });
    await using rig = await ClientRig.open(server.port, { initialStreamWindowSize: 65_535 });
    const exchange = rig.send();
    exchange.takes = false;
    await rig.until(() => exchange.chunks.length > 0);
    for (let i = 0; i < 20; i++) await new Promise(setImmediate);
    expect(exchange.chunks.length).toBe(1);
    expect(sent).toBeLessThan(8);
    exchange.takes = true;
    exchange.encoder.resumeBody();
    await exchange.over();
    expect(exchange.chunks.reduce((sum, { length }) => sum + length, 0)).toBe(MEGABYTES * 1024 * 1024);
  });

  it.each([true, false])(
    'stops a request that the peer does not take (chunks may be kept: %s)',
    async (holdable) => {
      await using server = await RawServer.start({ onConnection: (peer) => peer.settings(4, 0) });
      await using rig = await ClientRig.open(server.port);
      const exchange = rig.send(post(), false);
      const chunk = Buffer.alloc(48 * 1024, 'x');
      let accepted = 1;
      while (exchange.encoder.body(chunk, false, holdable) && accepted < 100) accepted++;
      expect(accepted).toBe(2);
      expect(rig.stat('pending_send_bytes')).toBe(2 * chunk.length);
      await rig.until(() => server.peer.of(FrameType.headers).length === 1);
      expect([server.peer.of(FrameType.data).length, exchange.writable]).toEqual([0, 0]);
      server.peer.window(1, 200_000);
      server.peer.window(0, 200_000);
      await rig.until(() => exchange.writable === 1);
      expect(server.peer.of(FrameType.data).reduce((sum, { payload }) => sum + payload.length, 0)).toBe(
        2 * chunk.length,
      );
      expect(rig.stat('pending_send_bytes')).toBe(0);
      exchange.encoder.reset('local-reset');
    },
  );

  it('forgets what was not sent', async () => {
    await using server = await RawServer.start({ onConnection: (peer) => peer.settings(4, 0) });
    await using rig = await ClientRig.open(server.port);
    const exchange = rig.send(post(), false);
    exchange.encoder.body(Buffer.alloc(100_000), false, true);
    expect(exchange.encoder.heldBytes).toBe(100_000);
    exchange.encoder.reset('local-reset');
    expect(exchange.encoder.heldBytes).toBe(0);
    expect([rig.stat('pending_send_bytes'), rig.stat('streams_active')]).toEqual([0, 0]);
  });

  it('of the connection lets the window of many streams be one', async () => {
    const body = Buffer.alloc(300_000, 'x');
    await using server = await serve((stream) => {
      stream.respond({ ':status': 200 });
      stream.end(body);
    });
    await using rig = await ClientRig.open(server.port, { initialConnectionWindowSize: 65_535 });
    const all = await Promise.all(Array.from({ length: 20 }, () => rig.get()));
    expect(all.map(({ text }) => text.length)).toEqual(new Array(20).fill(body.length));
  });
});

describe('SETTINGS', () => {
  it('say how many streams there may be, again and again', async () => {
    await using server = await RawServer.start({ onConnection: (peer) => peer.settings(3, 5) });
    await using rig = await ClientRig.open(server.port);
    server.peer.settings(3, 0);
    await rig.until(() => rig.limits.length === 2);
    server.peer.settings(3, 5000);
    await rig.until(() => rig.limits.length === 3);
    expect(rig.limits).toEqual([5, 0, 1024]);
  });

  it('without a limit leave it at ours', async () => {
    await using server = await RawServer.start({});
    await using rig = await ClientRig.open(server.port, { maxConcurrentStreams: 7 });
    expect(rig.limits).toEqual([7]);
  });

  it('of ours say what the config says', async () => {
    await using server = await RawServer.start({});
    await using rig = await ClientRig.open(server.port, {
      hpackTableSize: 0,
      maxConcurrentStreams: 50,
      initialStreamWindowSize: 70_000,
      allowConnect: true,
      customSettings: { 17185: 7 },
    });
    await rig.until(() => server.peer.of(FrameType.windowUpdate).length === 2);
    const { payload } = server.peer.of(FrameType.settings)[0] as { payload: Buffer };
    const settings: Record<number, number> = {};
    for (let at = 0; at < payload.length; at += 6)
      settings[payload.readUInt16BE(at)] = payload.readUInt32BE(at + 2);
    expect(settings).toMatchObject({ 1: 0, 2: 0, 3: 50, 4: 70_000, 8: 1, [17185]: 7 });
    const windows = server.peer.of(FrameType.windowUpdate).map(({ payload: bytes }) => bytes.readUInt32BE(0));
    expect(windows.reduce((a, b) => a + b, 65_535)).toBe(24 * 1024 * 1024);
  });

  it('that never come leave the connection unusable, and its end is told', async () => {
    await using server = await RawServer.start({ onConnection: () => {} });
    await using rig = await ClientRig.open(server.port, {}, false);
    for (let i = 0; i < 5; i++) await new Promise(setImmediate);
    expect(rig.limits).toEqual([]);
    server.peer.socket.end();
    await rig.until(() => rig.closed);
    expect(rig.told).toEqual(['end', 'close:remote:']);
  });

  it('that are none: the peer speaks another protocol', async () => {
    await using server = await RawServer.start({
      onConnection: (peer) => void peer.socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'),
    });
    await using rig = await ClientRig.open(server.port, {}, false);
    await rig.until(() => rig.closed);
    expect(rig.told[0]).toBe('protocol-error:http2.protocol_error');
  });
});

describe('one host', () => {
  it('has a session for each connection, and all of them end', async () => {
    await using server = await serve(echo);
    const first = await ClientRig.open(server.port);
    const rigs = [first];
    for (let i = 0; i < 14; i++) rigs.push(await ClientRig.open(server.port, {}, true, first.sessions));
    expect(first.sessions.size).toBe(15);
    const texts = await Promise.all(
      rigs.map(async (rig, i) => {
        const exchange = rig.send(post(), false);
        exchange.encoder.body(Buffer.from(String(i)), true, true);
        return (await exchange.over()).text;
      }),
    );
    expect(texts).toEqual(rigs.map((_rig, i) => String(i)));
    await new Promise(setImmediate);
    expect(rigs.some(({ closed }) => closed)).toBe(false);
    for (const rig of rigs) await rig[Symbol.asyncDispose]();
    await rigs[0]?.until(() => first.sessions.size === 0);
  });
});
