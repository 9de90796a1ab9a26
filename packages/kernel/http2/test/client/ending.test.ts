import { createSecureServer, createServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { UpstreamTransportSocket } from '@dragoman/core';
import { FrameType, selfSigned } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { RawServer } from './raw-server.ts';
import { ClientRig, requestOf } from './rig.ts';

const OK = [[':status', '200']] as const;

async function turns(count = 5): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise(setImmediate);
}

describe('GOAWAY', () => {
  it.each([0, 2, 11])('with code %d lets the streams below go on, and refuses those above', async (code) => {
    await using server = await RawServer.start({});
    await using rig = await ClientRig.open(server.port);
    const [below, above] = [rig.send(), rig.send()];
    await rig.until(() => server.peer.of(FrameType.headers).length === 2);
    server.peer.goAway(1, code);
    await above.over();
    expect(above.events).toEqual(['reset:max-requests']);
    expect(rig.told).toEqual(['goaway', 'complete last']);
    await turns();
    server.peer.headers(1, OK).data(1, 'late', true);
    await below.over();
    expect([below.events, below.text]).toEqual([['headers:200', 'body end'], 'late']);
    expect([rig.told, rig.closed]).toEqual([['goaway', 'complete last', 'complete last'], false]);
    expect(server.peer.of(FrameType.goaway)).toEqual([]);
  });

  it('that comes again, lower, is heard', async () => {
    await using server = await RawServer.start({});
    await using rig = await ClientRig.open(server.port);
    const exchanges = [rig.send(), rig.send(), rig.send()];
    await rig.until(() => server.peer.of(FrameType.headers).length === 3);
    server.peer.goAway(0x7fffffff, 0);
    await rig.until(() => rig.told.includes('goaway'));
    await turns();
    expect(exchanges.map(({ events }) => events)).toEqual([[], [], []]);
    server.peer.goAway(1, 0);
    await Promise.all(exchanges.slice(1).map((exchange) => exchange.over()));
    server.peer.headers(1, OK, true);
    expect((await exchanges[0]?.over())?.events).toEqual(['headers:200 end']);
    expect(rig.told.filter((what) => what === 'goaway').length).toBe(1);
  });

  it('and then the end: what is under way is lost', async () => {
    await using server = await RawServer.start({});
    await using rig = await ClientRig.open(server.port);
    const exchange = rig.send();
    await rig.until(() => server.peer.of(FrameType.headers).length === 1);
    server.peer.goAway(1, 2).socket.end();
    expect((await exchange.over()).events).toEqual(['reset:connection-termination']);
    await rig.until(() => rig.closed);
    expect(rig.told).toEqual(['goaway', 'end', 'close:remote:']);
  });
});

describe('the end of the connection', () => {
  it.each<[string, (socket: Socket) => void, string]>([
    ['FIN', (socket) => void socket.end(), 'reset:connection-termination'],
    [
      'RST',
      (socket) => void socket.resetAndDestroy(),
      'reset:connection-termination:Connection reset by peer',
    ],
  ])('%s resets what is under way', async (_name, end, event) => {
    await using server = await RawServer.start({
      onRequest: (peer, id) => {
        if (id === 1) return;
        peer.headers(id, OK).data(id, 'part');
        setImmediate(() => end(peer.socket));
      },
    });
    await using rig = await ClientRig.open(server.port);
    const [first, second] = [rig.send(), rig.send()];
    await Promise.all([first.over(), second.over()]);
    expect([first.events, second.events]).toEqual([[event], ['headers:200', event]]);
    await rig.until(() => rig.closed);
    expect([rig.stat('streams_active'), rig.codec.activeStreams]).toEqual([0, 0]);
  });

  it('leaves a response that is whole to a slow reader', async () => {
    await using server = await RawServer.start({
      onRequest: (peer, id) => {
        if (id === 1) return;
        peer.headers(id, OK).data(id, 'one').data(id, 'two', true).socket.end();
      },
    });
    await using rig = await ClientRig.open(server.port);
    const [incomplete, slow] = [rig.send(), rig.send()];
    slow.takes = false;
    expect((await incomplete.over()).events).toEqual(['reset:connection-termination']);
    expect([slow.events, slow.text, rig.closed]).toEqual([['headers:200'], 'one', true]);
    slow.takes = true;
    slow.encoder.resumeBody();
    expect([(await slow.over()).events, slow.text]).toEqual([['headers:200', 'body end'], 'onetwo']);
    expect([rig.told, rig.stat('streams_active')]).toEqual([['end', 'complete last', 'close:remote:'], 0]);
  });

  it('by us resets what is under way, and late calls do nothing', async () => {
    await using server = await RawServer.start({});
    await using rig = await ClientRig.open(server.port);
    const exchange = rig.send(requestOf({ ':method': 'POST' }), false);
    await rig.until(() => server.peer.of(FrameType.headers).length === 1);
    rig.connection.close('now', 'over');
    expect((await exchange.over()).events).toEqual(['reset:connection-termination:over']);
    exchange.encoder.body(Buffer.from('x'), true, true);
    exchange.encoder.reset('local-reset');
    exchange.encoder.resumeBody();
    await turns();
    expect(exchange.events.length).toBe(1);
  });
});

/** Bytes so far. */
function read({ connection }: ClientRig): number {
  connection.sampleBytes?.();
  return connection.bytesRead;
}

describe('keep-alive', () => {
  const keepAlive = { intervalMs: 1000, timeoutMs: 200, intervalJitterPercent: 0, idleIntervalMs: 0 };

  it('is satisfied by answers', async () => {
    await using server = await RawServer.start({
      onFrame: (peer, { type, payload }) =>
        void (type === FrameType.ping && peer.send(FrameType.ping, 1, 0, payload)),
    });
    await using rig = await ClientRig.open(server.port, { keepAlive });
    for (let i = 1; i <= 3; i++) {
      const before = read(rig);
      rig.clock.advance(1000);
      await rig.until(() => server.peer.of(FrameType.ping).length === i);
      await rig.until(() => read(rig) >= before + 17);
      await turns();
      rig.clock.advance(150);
      expect(rig.closed).toBe(false);
    }
    expect(rig.stat('keepalive_timeout')).toBe(0);
  });

  it('closes the connection of a peer that does not answer', async () => {
    await using server = await RawServer.start({});
    await using rig = await ClientRig.open(server.port, { keepAlive });
    const exchange = rig.send();
    await rig.until(() => server.peer.of(FrameType.headers).length === 1);
    rig.clock.advance(1000);
    await rig.until(() => server.peer.of(FrameType.ping).length === 1);
    rig.clock.advance(200);
    expect((await exchange.over()).events).toEqual(['reset:connection-termination:http2_ping_timeout']);
    expect([rig.stat('keepalive_timeout'), rig.told]).toEqual([1, ['close:local:http2_ping_timeout']]);
  });

  it('takes any frame for a sign of life', async () => {
    await using server = await RawServer.start({});
    await using rig = await ClientRig.open(server.port, { keepAlive });
    rig.clock.advance(1000);
    await rig.until(() => server.peer.of(FrameType.ping).length === 1);
    server.peer.settings(3, 9);
    await rig.until(() => rig.limits.includes(9));
    rig.clock.advance(200);
    await turns();
    expect(rig.closed).toBe(false);
    rig.clock.advance(1000);
    await rig.until(() => server.peer.of(FrameType.ping).length === 2);
    rig.clock.advance(200);
    await rig.until(() => rig.closed);
  });

  it('asks before a stream that comes after a rest', async () => {
    await using server = await RawServer.start({});
    await using rig = await ClientRig.open(server.port, {
      keepAlive: { ...keepAlive, intervalMs: 0, idleIntervalMs: 500 },
    });
    rig.send().encoder.reset('local-reset');
    await turns();
    expect(server.peer.of(FrameType.ping).length).toBe(0);
    rig.clock.advance(600);
    rig.send();
    await rig.until(() => server.peer.of(FrameType.ping).length === 1);
    rig.clock.advance(200);
    await rig.until(() => rig.closed);
  });
});

describe('tunnels', () => {
  const upgrade = () => requestOf({ connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-key': 'k' });

  async function webSocketServer(status = 200, enableConnectProtocol = true) {
    const seen: (readonly string[])[] = [];
    const bytes: string[] = [];
    const server = createServer({ settings: { enableConnectProtocol } });
    server.on('stream', (stream, _headers, _flags, raw) => {
      seen.push(raw as unknown as readonly string[]);
      stream.on('error', () => {});
      stream.on('data', (chunk: Buffer) => {
        bytes.push(chunk.toString());
        stream.write(`echo:${chunk.toString()}`);
      });
      stream.on('end', () => stream.end());
      setImmediate(() => (stream as ServerHttp2Stream).respond({ ':status': status }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return {
      seen,
      bytes,
      port: (server.address() as AddressInfo).port,
      [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
    };
  }

  it('make an extended CONNECT of an upgrade, and 101 of its answer', async () => {
    await using server = await webSocketServer();
    await using rig = await ClientRig.open(server.port, { allowConnect: true });
    const exchange = rig.send(upgrade(), false);
    await rig.until(() => exchange.headers !== undefined);
    expect(Object.fromEntries(exchange.headers?.entries() ?? [])).toMatchObject({
      ':status': '101',
      connection: 'upgrade',
      upgrade: 'websocket',
    });
    expect(server.seen[0]?.slice(0, 12)).toEqual([
      ...[':method', 'CONNECT', ':scheme', 'http', ':path', '/', ':authority', 'a.example'],
      ...[':protocol', 'websocket', 'sec-websocket-key', 'k'],
    ]);
    exchange.encoder.body(Buffer.from('hi'), false, true);
    await rig.until(() => exchange.text === 'echo:hi');
    exchange.encoder.body(Buffer.alloc(0), true, true);
    await exchange.over();
    expect([exchange.events, rig.told]).toEqual([['headers:101', 'body end'], ['complete']]);
  });

  it('keep bytes back until the peer has agreed', async () => {
    await using server = await webSocketServer();
    await using rig = await ClientRig.open(server.port, { allowConnect: true });
    const exchange = rig.send(upgrade(), false);
    const chunk = Buffer.from('early');
    expect(exchange.encoder.body(chunk, false, false)).toBe(false);
    chunk.fill('?');
    await rig.until(() => exchange.text === 'echo:early');
    expect(exchange.writable).toBe(1);
    exchange.encoder.reset('local-reset');
  });

  it('throw them away when the peer has not', async () => {
    await using server = await webSocketServer(403);
    await using rig = await ClientRig.open(server.port, { allowConnect: true });
    const exchange = rig.send(upgrade(), false);
    exchange.encoder.body(Buffer.from('early'), false, true);
    await exchange.over();
    expect([exchange.events, server.bytes]).toEqual([['headers:403', 'body end'], []]);
    expect(rig.told).toEqual(['complete']);
  });

  it('are not asked of a peer that does not know them', async () => {
    await using server = await webSocketServer(200, false);
    await using rig = await ClientRig.open(server.port, { allowConnect: true });
    const exchange = rig.send(upgrade(), false);
    expect(exchange.events).toEqual(['reset:remote-reset:http2.extended_connect_not_allowed']);
    expect([server.seen, rig.told]).toEqual([[], ['complete']]);
  });

  it('by CONNECT have an authority only', async () => {
    await using server = await webSocketServer();
    await using rig = await ClientRig.open(server.port);
    const headers = requestOf({ ':method': 'CONNECT', ':authority': 'b.example:1', 'x-a': 'b' });
    const exchange = rig.send(headers, false);
    await rig.until(() => exchange.headers !== undefined);
    expect([exchange.headers?.status, server.seen[0]]).toEqual([
      200,
      [':method', 'CONNECT', ':authority', 'b.example:1', 'x-a', 'b'],
    ]);
    exchange.encoder.body(Buffer.from('x'), true, true);
    expect((await exchange.over()).text).toBe('echo:x');
  });
});

describe('TLS', () => {
  const certificate = selfSigned({ subject: 'CN=a.example' });
  const tls: UpstreamTransportSocket = {
    name: 'tls',
    secure: true,
    wrap(socket, info, _options, events) {
      const secure = connectTls({
        socket: socket as Socket,
        ALPNProtocols: ['h2'],
        rejectUnauthorized: false,
      });
      secure.once('secureConnect', () => {
        info.negotiatedProtocol = secure.alpnProtocol || '';
        events.onReady();
      });
      secure.once('error', (error) => events.onFailed(error.message));
      return secure;
    },
  };

  it('carries sessions to addresses without names', async () => {
    const server = createSecureServer({ key: certificate.keyPem, cert: certificate.pem });
    server.on('stream', (stream) => {
      (stream as ServerHttp2Stream).respond({ ':status': 200 });
      stream.end('secret');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    {
      await using rig = await ClientRig.open(port, {}, true, undefined, tls);
      expect(rig.connection.info.negotiatedProtocol).toBe('h2');
      for (let i = 0; i < 3; i++) expect((await rig.get()).text).toBe('secret');
    }
    await new Promise((resolve) => server.close(resolve));
  });

  it('of which the other side closes ends as plain connections do', async () => {
    const server = createSecureServer({ key: certificate.keyPem, cert: certificate.pem });
    server.on('stream', (stream) => stream.session?.socket.destroy());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    {
      await using rig = await ClientRig.open(
        (server.address() as AddressInfo).port,
        {},
        true,
        undefined,
        tls,
      );
      expect((await rig.get()).events[0]).toMatch(/^reset:connection-termination/);
      await rig.until(() => rig.closed);
    }
    await new Promise((resolve) => server.close(resolve));
  });
});
