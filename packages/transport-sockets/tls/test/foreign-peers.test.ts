import { spawn } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Socket } from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';
import { encodeRecords } from '@dragoman/client-hello';
import { eventually, expectNoLeaks, realClientHello, TestAuthority } from '@dragoman/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { inline } from './support/config.ts';
import { inRecordsOf, nodeClient, RawClient, rawServer } from './support/foreign.ts';
import { ClientScene, cleanUp, type End, ServerScene } from './support/scene.ts';

const root = TestAuthority.root();
const certificate = root.issue({ subject: 'CN=server', san: [{ dns: 'a.example' }] });
const start = () => ServerScene.start({ common_tls_context: { tls_certificates: [inline(certificate)] } });
const reason = (code: number, name: string) =>
  `TLS_error:|${code}:SSL routines:OPENSSL_internal:${name}:TLS_error_end`;
const RESET = 'TLS_error:|33554536:system library:OPENSSL_internal:Connection reset by peer:TLS_error_end';
const alert = (number: number) => Buffer.from([21, 3, 3, 0, 2, 2, number]);

afterEach(cleanUp);

async function gone(end: End, failure: string): Promise<void> {
  await end.untilClosed();
  expect([end.failure, end.ready, end.received, end.early]).toEqual([failure, false, '', 0]);
}

describe('a TLS port', () => {
  it.each([
    ['GET / HTTP/1.1\r\nHost: a\r\n\r\n', 268435612, 'HTTP_REQUEST'],
    ['POST /a HTTP/1.1\r\n\r\n', 268435612, 'HTTP_REQUEST'],
    ['CONNECT a:1 HTTP/1.1\r\n\r\n', 268435611, 'HTTPS_PROXY_REQUEST'],
    ['SSH-2.0-OpenSSH_9.6\r\n', 268435703, 'WRONG_VERSION_NUMBER'],
    ['\0\0\0\0\0\0\0\0', 268435703, 'WRONG_VERSION_NUMBER'],
    ['\x16\x03\x01\xff\xff', 268435602, 'ENCRYPTED_LENGTH_TOO_LONG'],
    ['\x17\x03\x03\0\x05hello', 268435681, 'UNEXPECTED_RECORD'],
    ['\x16\x03\x01\0\x05hello', 268435606, 'EXCESSIVE_MESSAGE_SIZE'],
  ])('closes on %j', async (text, code, name) => {
    for (const step of [text.length, 1]) {
      const scene = await start();
      const client = await RawClient.connect(scene.port);
      await client.sendInPieces(Buffer.from(text, 'latin1'), step);
      await gone(await scene.end(), reason(code, name));
      await client.untilClosed();
      expect(client.received).toHaveLength(0);
      expect(scene.ssl('connection_error')).toBe(1);
    }
  });

  it('closes on a ClientHello without an end', async () => {
    const scene = await start();
    const client = await RawClient.connect(scene.port);
    const message = Buffer.concat([Buffer.from([1, 0, 0x3f, 0xff]), Buffer.alloc(0x3fff)]);
    client.socket.write(encodeRecords(message, 1).subarray(0, 70_000));
    await gone(await scene.end(), reason(268435606, 'EXCESSIVE_MESSAGE_SIZE'));
  });

  it.each([
    ['goes away', (socket: Socket) => socket.end(), ''],
    ['resets the connection', (socket: Socket) => socket.resetAndDestroy(), RESET],
    [
      'refuses our certificate',
      (socket: Socket) => socket.write(alert(42)),
      reason(268436498, 'SSLV3_ALERT_BAD_CERTIFICATE'),
    ],
    [
      'does not know our authority',
      (socket: Socket) => socket.write(alert(48)),
      reason(268436504, 'TLSV1_ALERT_UNKNOWN_CA'),
    ],
    ['sends an alert that nobody knows', (socket: Socket) => socket.end(alert(200)), ''],
    [
      'sends something else',
      (socket: Socket) => socket.write('no record at all'),
      reason(268435703, 'WRONG_VERSION_NUMBER'),
    ],
  ])('closes when the client %s in mid-handshake', async (_, next, failure) => {
    await expectNoLeaks(async () => {
      const scene = await start();
      const client = await RawClient.connect(scene.port);
      client.socket.write(await realClientHello({ servername: 'a.example', maxVersion: 'TLSv1.2' }));
      await once(client.socket, 'data');
      next(client.socket);
      const end = await scene.end();
      await end.untilClosed();
      if (failure !== undefined) await gone(end, failure);
      expect(scene.ssl('handshake')).toBe(0);
      expect(scene.ssl('connection_error')).toBe(failure === '' || failure === RESET ? 0 : 1);
      await cleanUp();
    });
  });

  it('closes when the client goes away in its ClientHello', async () => {
    const scene = await start();
    const client = await RawClient.connect(scene.port);
    client.socket.end((await realClientHello({})).subarray(0, 50));
    await gone(await scene.end(), '');
    expect(scene.ssl('connection_error')).toBe(0);
  });

  it.each([
    [1, 1],
    [1, 3],
    [7, 1],
    [100, 50],
    [16_384, 1],
  ])('reads a ClientHello in records of %i bytes, %i bytes at a time', async (size, pieces) => {
    const scene = await start();
    const client = await nodeClient(scene.port, {
      socket: inRecordsOf(size, pieces, scene.port),
      servername: 'a.example',
    });
    const end = await scene.end();
    await end.untilReady();
    expect(end.info.requestedServerName).toBe('a.example');
    client.write('hello');
    end.connection.writeText('hi');
    expect(String((await once(client, 'data'))[0])).toBe('hi');
    await eventually(() => end.received === 'hello');
    expect(end.early).toBe(0);
  });

  it('tells of garbage that comes later', async () => {
    const scene = await start();
    const socket = inRecordsOf(16_384, 16_384, scene.port);
    const client = await nodeClient(scene.port, { socket });
    const end = await scene.end();
    await end.untilReady();
    expect(client.authorized).toBe(false);
    socket.write('this is no record');
    await end.untilClosed();
    const failure = reason(268435707, 'INVALID_OUTER_RECORD_TYPE');
    expect(end.closed).toBe(`remote: ${failure}`);
    expect(end.failure).toBe(failure);
    expect(scene.ssl('connection_error')).toBe(1);
  });

  it('hears of clients that refuse its certificate', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'dragoman-tls-'));
    writeFileSync(join(folder, 'ca.pem'), TestAuthority.root().pem);
    const scene = await start();
    const client = spawn('openssl', [
      's_client',
      ...['-connect', `127.0.0.1:${scene.port}`, '-CAfile', join(folder, 'ca.pem')],
      ...['-verify_return_error', '-tls1_3', '-brief'],
    ]);
    client.stdin.end();
    const end = await scene.end();
    await end.untilClosed();
    expect(end.failure).toBe(reason(268436504, 'TLSV1_ALERT_UNKNOWN_CA'));
  });
});

describe('a TLS client', () => {
  const connect = async (serve: (socket: Socket) => void): Promise<[End, ClientScene]> => {
    const cluster = new ClientScene({ sni: 'a.example' });
    return [cluster.connect(await rawServer(serve)), cluster];
  };
  const after = (next: (socket: Socket) => void) => (socket: Socket) => {
    socket.once('data', () => next(socket));
  };

  it.each<[string, (socket: Socket) => void, string]>([
    [
      'speaks HTTP',
      (s) => s.end('HTTP/1.1 400 Bad Request\r\n\r\n'),
      reason(268435703, 'WRONG_VERSION_NUMBER'),
    ],
    ['speaks SSH', (s) => s.write('SSH-2.0-x\r\n'), reason(268435703, 'WRONG_VERSION_NUMBER')],
    ['sends zeros', (s) => s.write(Buffer.alloc(100)), reason(268435703, 'WRONG_VERSION_NUMBER')],
    ['goes away', (s) => s.end(), ''],
    ['resets the connection', (s) => s.resetAndDestroy(), RESET],
    [
      'has no certificate for the name',
      (s) => s.write(alert(112)),
      reason(268436568, 'TLSV1_ALERT_UNRECOGNIZED_NAME'),
    ],
    [
      'finds nothing in common',
      (s) => s.write(alert(40)),
      'TLS_error:|268436496:SSL routines:OPENSSL_internal:SSLV3_ALERT_HANDSHAKE_FAILURE|268435610:SSL routines:OPENSSL_internal:HANDSHAKE_FAILURE_ON_CLIENT_HELLO:TLS_error_end',
    ],
    ['has a bug', (s) => s.write(alert(80)), reason(268436536, 'TLSV1_ALERT_INTERNAL_ERROR')],
  ])('fails when the server %s', async (_, next, failure) => {
    await expectNoLeaks(async () => {
      const [end, cluster] = await connect(after(next));
      await gone(end, failure);
      expect(end.closed).toBe(`remote: ${failure}`);
      expect(cluster.ssl('connection_error')).toBe(failure === '' || failure === RESET ? 0 : 1);
      await cleanUp();
    });
  });

  it('fails when the server is gone before it has read anything', async () => {
    const [end] = await connect((socket) => socket.end());
    await gone(end, '');
    expect(end.closed).toBe('remote: ');
  });

  it('is not renegotiated with', async () => {
    let server: TLSSocket | undefined;
    const [end, cluster] = await connect((socket) => {
      server = new TLSSocket(socket, {
        isServer: true,
        secureContext: createSecureContext({ cert: certificate.pem, key: certificate.keyPem }),
      });
      server.on('error', () => {});
    });
    await end.untilReady();
    expect(end.info.tls?.version).toBe('TLSv1.2');
    server?.renegotiate({}, () => {});
    server?.write('after');
    await end.untilClosed();
    // It refuses, and the server does not put up with that.
    expect(end.failure).toBe(reason(268436496, 'SSLV3_ALERT_HANDSHAKE_FAILURE'));
    expect(cluster.ssl('handshake')).toBe(1);
  });
});
