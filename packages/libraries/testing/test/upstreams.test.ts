import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  BlackHole,
  breakOff,
  echo,
  exchange,
  Gate,
  gated,
  HttpUpstream,
  hang,
  inTurn,
  RawUpstream,
  rawClient,
  refusedPort,
  reply,
  reset,
  silentUpstream,
  text,
} from '../src/index.ts';

const GET = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';

describe('HttpUpstream', () => {
  test('answers as told and records what it received', async () => {
    await using upstream = await HttpUpstream.start(
      reply({
        status: 201,
        headers: [
          ['X-One', '1'],
          ['x-one', '2'],
        ],
        body: ['ab', 'c'],
        trailers: { 't-1': 'v' },
      }),
    );
    await using client = await rawClient(upstream);
    await client.write(
      'POST /p?q HTTP/1.1\r\nHost: a\r\nX-Twice: 1\r\nx-twice: 2\r\ncontent-length: 4\r\n\r\n',
      'bo',
      'dy',
    );
    const response = await client.readResponse();
    expect([response.statusLine, response.body.toString(), response.trailers]).toEqual([
      'HTTP/1.1 201 Created',
      'abc',
      [['t-1', 'v']],
    ]);
    expect(response.headers.slice(0, 2)).toEqual([
      ['X-One', '1'],
      ['x-one', '2'],
    ]);
    const recorded = await upstream.request();
    expect([recorded.method, recorded.path, recorded.version, recorded.header('host')]).toEqual([
      'POST',
      '/p?q',
      '1.1',
      'a',
    ]);
    expect(recorded.rawHeaders).toContainEqual(['X-Twice', '1']);
    expect((await recorded.body).toString()).toBe('body');
    expect(await recorded.aborted).toBe(false);
  });

  test('holds an answer back until its gate opens', async () => {
    const gate = new Gate();
    await using upstream = await HttpUpstream.start(gated(gate, text('late', 503)));
    await using client = await rawClient(upstream);
    await client.write(GET);
    await gate.reached();
    expect(client.bytesReceived).toBe(0);
    gate.open();
    expect((await client.readResponse()).status).toBe(503);
  });

  test('echoes, and tells 100-continue to go on', async () => {
    await using upstream = await HttpUpstream.start(echo());
    await using client = await rawClient(upstream);
    await client.write('POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n');
    expect((await client.readResponse()).status).toBe(100);
    await client.write('abc');
    expect((await client.readResponse()).body.toString()).toBe('abc');
  });

  test('breaks off inside a body, resets, and takes answers in turn', async () => {
    await using upstream = await HttpUpstream.start(
      inTurn(breakOff('half', 10), reset(), breakOff('half', 10, 'close'), text('ok')),
    );
    await using first = await rawClient(upstream);
    await first.write(GET);
    expect(await first.readUntil('half')).toContain('content-length: 10');
    expect(await first.closed).toBe(true);
    expect(first.error?.code).toBe('ECONNRESET');
    await using second = await rawClient(upstream);
    await second.write(GET);
    expect(await second.closed).toBe(true);
    await using third = await rawClient(upstream);
    await third.write(GET);
    expect(await third.readUntilClose()).toMatch(/half$/);
    expect(third.error).toBeUndefined();
    await using fourth = await rawClient(upstream);
    await fourth.write(GET, GET);
    expect((await fourth.readResponses(2)).map(({ body }) => body.toString())).toEqual(['ok', 'ok']);
    expect(upstream.requests.map(({ connection }) => connection)).toEqual([1, 2, 3, 4, 4]);
    expect(upstream.connectionCount).toBe(4);
  });

  test('sees a client that goes away', async () => {
    await using upstream = await HttpUpstream.start(hang());
    await using client = await rawClient(upstream);
    await client.write('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nx');
    const recorded = await upstream.request();
    client.reset();
    expect(await recorded.aborted).toBe(true);
    await expect(recorded.body).rejects.toThrow();
  });

  test('disconnects, and reports what an answer threw', async () => {
    const upstream = await HttpUpstream.start(hang());
    await using client = await rawClient(upstream);
    await client.write(GET);
    await upstream.request();
    upstream.disconnect();
    expect(await client.closed).toBe(true);
    upstream.answer = () => {
      throw new Error('wrong in the test');
    };
    await using other = await rawClient(upstream);
    await other.write(GET);
    expect(await other.readUntilClose()).toBe('');
    await expect(upstream.stop()).rejects.toThrow('wrong in the test');
  });

  test('listens on a Unix socket', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'dragoman-testing-'));
    try {
      const path = join(folder, 's');
      await using _upstream = await HttpUpstream.start(text('over a pipe'), { path });
      expect(await exchange({ path }, 'GET / HTTP/1.0\r\n\r\n')).toMatch(/over a pipe$/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('RawUpstream', () => {
  test('follows its script byte by byte', async () => {
    await using upstream = await RawUpstream.start(async (connection, index) => {
      const head = await connection.readUntil('\r\n\r\n');
      await connection.write(`HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n`, `${index}`, head[0]);
      connection.end();
    });
    expect(await exchange(upstream, 'GET / ', 'HTTP/1.1\r\n\r\n')).toMatch(/\r\n\r\n0G$/);
    expect(await exchange(upstream, 'PUT / HTTP/1.1\r\n\r\n')).toMatch(/\r\n\r\n1P$/);
    expect(upstream.connections).toHaveLength(2);
  });

  test('sees half-close and a reset', async () => {
    await using upstream = await RawUpstream.start(async (connection, index) => {
      if (index === 0) {
        const all = await connection.readUntilClose();
        await connection.write(all.toUpperCase());
        connection.end();
      }
    });
    await using client = await rawClient(upstream);
    await client.write('abc');
    client.end();
    expect(await client.readUntilClose()).toBe('ABC');
    await using second = await rawClient(upstream);
    const accepted = await upstream.connection(2);
    second.reset();
    expect(await accepted.closed).toBe(true);
    expect(accepted.error?.code).toBe('ECONNRESET');
  });

  test('reports what a script threw, but not that it was waiting at the end', async () => {
    const failing = await RawUpstream.start(() => {
      throw new Error('wrong in the test');
    });
    await using client = await rawClient(failing);
    await failing.connection();
    await expect(failing.stop()).rejects.toThrow('wrong in the test');
    expect(await client.readUntilClose()).toBe('');
    const waiting = await RawUpstream.start(async (connection) => {
      await connection.read(10);
    });
    await using other = await rawClient(waiting);
    await waiting.connection();
    await waiting.stop();
    expect(await other.readUntilClose()).toBe('');
  });

  test('a silent one takes everything and answers nothing', async () => {
    await using upstream = await silentUpstream();
    await using client = await rawClient(upstream);
    await client.write('hello');
    const accepted = await upstream.connection();
    expect((await accepted.read(5)).toString()).toBe('hello');
    expect(client.bytesReceived).toBe(0);
  });
});

test('a read that cannot be satisfied says what was there', async () => {
  await using upstream = await RawUpstream.start(async (connection) => {
    await connection.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab');
    connection.end();
  });
  await using client = await rawClient(upstream);
  await expect(client.readResponse()).rejects.toThrow(
    /ended before a response; unread: "HTTP\/1\.1 200 OK.*ab"/,
  );
});

test('connecting where nobody listens fails', async () => {
  const port = await refusedPort();
  await expect(rawClient({ port })).rejects.toThrow('ECONNREFUSED');
});

test.runIf(process.platform === 'linux')('a black hole neither accepts nor refuses', async () => {
  await using hole = await BlackHole.start();
  const pending = connect({ host: '127.0.0.1', port: hole.port });
  let outcome = 'connecting';
  pending.on('connect', () => {
    outcome = 'connected';
  });
  pending.on('error', () => {
    outcome = 'refused';
  });
  // Connections made later to a server that answers are long done when this one has still not moved.
  await using upstream = await HttpUpstream.start(text('ok'));
  for (let round = 0; round < 20; round++) await exchange(upstream, 'GET / HTTP/1.0\r\n\r\n');
  expect(outcome).toBe('connecting');
  const closed = new Promise((resolve) => pending.once('close', resolve));
  pending.destroy();
  await closed;
});

test('a client of Node gets along with the upstream', async () => {
  await using upstream = await HttpUpstream.start(text('hi'));
  const status = await new Promise((resolve, reject) => {
    const call = request({ port: upstream.port, host: '127.0.0.1', agent: false }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode));
    });
    call.on('error', reject);
    call.end();
  });
  expect(status).toBe(200);
});
