import { eventually, exchange, RawUpstream, type RawScript } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { type Message, prefixRoute } from './support/config.ts';
import { type ProxySetup, type TestProxy, withProxy } from './support/proxy.ts';

const UPGRADES: ProxySetup = {
  routes: [
    { match: { connect_matcher: {} }, route: { cluster: 'upstream' } },
    prefixRoute('/', 'upstream', { timeout: '2s' }),
  ],
  manager: { upgrade_configs: [{ upgrade_type: 'websocket' }, { upgrade_type: 'CONNECT' }] },
};
const HANDSHAKE = 'GET /ws HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n';
const CONNECT = 'CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n';
const PLAIN = 'GET /plain HTTP/1.1\r\nhost: a\r\n\r\n';
const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n';
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n';
const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello';
const FORGED = 'HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged';

/** Keeps, for each connection, all that came; answers each request head; what says `connection: close` is the last. */
class Recorder {
  readonly received: string[] = [];
  readonly script: RawScript;

  constructor(answer: (head: string, connection: number) => string | undefined) {
    this.script = async (connection, index) => {
      this.received[index] = '';
      let unread = '';
      for (;;) {
        const bytes = (await connection.readSome()).toString('latin1');
        if (bytes === '') break;
        this.received[index] += bytes;
        unread += bytes;
        for (let end = unread.indexOf('\r\n\r\n'); end >= 0; end = unread.indexOf('\r\n\r\n')) {
          const reply = answer(unread.slice(0, end + 4), index);
          unread = unread.slice(end + 4);
          if (reply !== undefined) await connection.write(reply);
          if (reply?.includes('connection: close') === true) connection.end();
        }
      }
      connection.end();
    };
  }

  get everything(): string {
    return this.received.join('\n--\n');
  }
}

/** The upstream answers upgrades and CONNECT with `answer`, and everything else as it should. */
async function withUpstream(
  answer: string | undefined,
  body: (proxy: TestProxy, recorder: Recorder) => Promise<void>,
  setup: ProxySetup = UPGRADES,
): Promise<void> {
  const recorder = new Recorder((head) => (/^GET \/(plain|smuggled)/.test(head) ? OK : answer));
  await using upstream = await RawUpstream.start(recorder.script);
  await withProxy({ ...setup, upstream }, (proxy) => body(proxy, recorder));
}

const responses = (text: string): string[] => text.match(/^HTTP\/1\.\d \d{3}/gm) ?? [];
const statuses = (text: string): number[] => responses(text).map((line) => Number(line.slice(9)));

/** A client of its own, on whatever upstream connection the pool has for it. */
async function expectUntouched(proxy: TestProxy): Promise<void> {
  for (let i = 0; i < 3; i++) {
    const response = await proxy.get('/plain');
    expect([response.status, response.body.toString()]).toEqual([200, 'hello']);
  }
}

describe('an upgrade that is not accepted', () => {
  it.each<[what: string, answer: string, status: number]>([
    ['200 with a length', OK, 200],
    ['200 with chunks', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n', 200],
    ['200 that says it upgrades', `HTTP/1.1 200 OK\r\nconnection: upgrade\r\nupgrade: websocket\r\ncontent-length: 0\r\n\r\n`, 200],
    ['200 with another response behind it', `${OK}${FORGED}`, 200],
    ['204', 'HTTP/1.1 204 No Content\r\n\r\n', 204],
    ['302', 'HTTP/1.1 302 Found\r\nlocation: http://a/\r\ncontent-length: 5\r\n\r\nhello', 302],
    ['401 with a body', 'HTTP/1.1 401 Unauthorized\r\ncontent-length: 5\r\n\r\nhello', 401],
    ['401 with another response behind it', `HTTP/1.1 401 Unauthorized\r\ncontent-length: 5\r\n\r\nhello${FORGED}`, 401],
    ['401 that upgrades', `HTTP/1.1 401 Unauthorized\r\nconnection: upgrade\r\nupgrade: websocket\r\ncontent-length: 0\r\n\r\n`, 401],
    ['426', 'HTTP/1.1 426 Upgrade Required\r\nupgrade: h2c\r\nconnection: upgrade\r\ncontent-length: 0\r\n\r\n', 426],
    ['500 with chunks', 'HTTP/1.1 500 No\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n', 500],
    ['101 with a length', `HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: websocket\r\ncontent-length: 5\r\n\r\nhello`, 502],
    ['101 with chunks', `HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: websocket\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`, 502],
    ['a status below 100', 'HTTP/1.1 099 X\r\n\r\n', 502],
    ['no HTTP', 'SSH-2.0-OpenSSH\r\n\r\n', 502],
  ])('%s: one answer, nothing behind the request is forwarded, no connection is used again', async (_, answer, status) => {
    await withUpstream(answer, async (proxy, recorder) => {
      const all = await exchange({ port: proxy.port }, `${HANDSHAKE}\r\n${SMUGGLED}`);
      expect(statuses(all), all).toEqual([status]);
      expect(all).not.toContain('forged');
      expect(recorder.everything).not.toContain('smuggled');
      await expectUntouched(proxy);
      expect(recorder.received.length).toBe(2);
    });
  }); // biome-ignore format: a table
});

describe('a 101 that nobody asked for', () => {
  it.each<[what: string, request: string, statuses: number[]]>([
    ['to a plain request', PLAIN.replace('/plain', '/x'), [502]],
    ['to HEAD', 'HEAD /x HTTP/1.1\r\nhost: a\r\n\r\n', [502]],
    ['to a POST with a body', 'POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc', [502]],
    ['to CONNECT', CONNECT, [502]],
    ['to an upgrade without connection: upgrade', 'GET /x HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\n\r\n', [502]],
  ])('%s', async (_, request, expected) => {
    await withUpstream(`${SWITCH}${FORGED}`, async (proxy, recorder) => {
      await using client = await proxy.connect();
      await client.write(request);
      const first = await client.readResponse(request.startsWith('HEAD'));
      expect([first.status]).toEqual(expected);
      await client.write(PLAIN);
      const rest = await Promise.race([
        client.readUntilClose(),
        client.readResponse().then(
          ({ body }) => body.toString(),
          () => 'ended',
        ),
      ]);
      expect(rest).not.toContain('forged');
      await expectUntouched(proxy);
      expect(recorder.received[0]).not.toContain('/plain');
    });
  }); // biome-ignore format: a table
});

describe('an upgrade request that is framed twice over', () => {
  it.each<[what: string, head: string, body: string]>([
    ['a length and bytes behind it', 'content-length: 4\r\n', `body${SMUGGLED}`],
    ['a length that covers another request', `content-length: ${SMUGGLED.length}\r\n`, SMUGGLED],
    ['chunks', 'transfer-encoding: chunked\r\n', `4\r\nbody\r\n0\r\n\r\n${SMUGGLED}`],
    ['chunks that never end', 'transfer-encoding: chunked\r\n', 'ffffff\r\nx'],
    ['both', 'content-length: 4\r\ntransfer-encoding: chunked\r\n', `0\r\n\r\n${SMUGGLED}`],
    ['two lengths', 'content-length: 4\r\ncontent-length: 5\r\n', SMUGGLED],
    ['expect', 'expect: 100-continue\r\ncontent-length: 4\r\n', `body${SMUGGLED}`],
    ['two upgrades', 'upgrade: h2c\r\n', SMUGGLED],
    ['a body of no length', '', SMUGGLED],
  ])('%s', async (_, head, body) => {
    await withUpstream('HTTP/1.1 403 No\r\ncontent-length: 2\r\n\r\nno', async (proxy, recorder) => {
      await using client = await proxy.connect();
      await client.write(`${HANDSHAKE}${head}\r\n${body}`);
      client.end();
      const all = await client.readUntilClose();
      const final = statuses(all).filter((status) => status >= 200);
      expect(final, all).toHaveLength(1);
      expect([400, 403], all).toContain(final[0]);
      // What of it was forwarded is one request, whose body cannot be taken for another.
      for (const received of recorder.received)
        expect(received.split(/^(?:GET|POST|CONNECT) /m).length - 1).toBe(1);
      await expectUntouched(proxy);
    });
  });
});

describe('CONNECT', () => {
  it.each<[what: string, answer: string, status: number]>([
    ['refused with a body', 'HTTP/1.1 403 No\r\ncontent-length: 5\r\n\r\nhello', 403],
    ['refused with chunks', 'HTTP/1.1 407 No\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n', 407],
    ['refused with a body and a forged answer', `HTTP/1.1 403 No\r\ncontent-length: 5\r\n\r\nhello${FORGED}`, 403],
    ['refused with a body until the end', 'HTTP/1.1 500 No\r\nconnection: close\r\n\r\nhello', 500],
    ['redirected', 'HTTP/1.1 302 Found\r\nlocation: http://evil.example/\r\ncontent-length: 0\r\n\r\n', 302],
  ])('%s: what came behind it is never read as a request', async (_, answer, status) => {
    await withUpstream(answer, async (proxy, recorder) => {
      await using client = await proxy.connect();
      await client.write(`${CONNECT}${SMUGGLED}`);
      client.end();
      const all = await client.readUntilClose();
      expect(statuses(all), all).toEqual([status]);
      expect(all).not.toContain('forged');
      expect(recorder.everything).not.toContain('smuggled');
      await expectUntouched(proxy);
      expect(recorder.received.length).toBe(2);
    });
  }); // biome-ignore format: a table

  it.each([
    ['a path', 'CONNECT /x HTTP/1.1\r\nhost: a\r\n\r\n'],
    ['a whole URL', 'CONNECT http://a:80/ HTTP/1.1\r\nhost: a\r\n\r\n'],
    ['no port', 'CONNECT a HTTP/1.1\r\nhost: a\r\n\r\n'],
    ['user information', 'CONNECT u:p@a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n'],
    ['port 0', 'CONNECT a:0 HTTP/1.1\r\nhost: a:0\r\n\r\n'],
    ['a port that is none', 'CONNECT a:99999 HTTP/1.1\r\nhost: a:99999\r\n\r\n'],
    ['a length', 'CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\ncontent-length: 5\r\n\r\nhello'],
    ['chunks', 'CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['HTTP/1.0', 'CONNECT a:80 HTTP/1.0\r\n\r\n'],
    ['a host that is another', 'CONNECT a:80 HTTP/1.1\r\nhost: evil:80\r\n\r\n'],
    [
      'an upgrade',
      'CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
    ],
    ['asterisk', 'CONNECT * HTTP/1.1\r\nhost: a:80\r\n\r\n'],
  ])('with %s gets one answer, and not two', async (_, request) => {
    await withUpstream('HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n', async (proxy, recorder) => {
      await using client = await proxy.connect();
      await client.write(request, SMUGGLED);
      client.end();
      const all = await client.readUntilClose();
      expect(statuses(all).length, all).toBe(1);
      expect(statuses(all)[0]).toBeGreaterThanOrEqual(400);
      expect(recorder.everything).not.toContain('smuggled');
      await expectUntouched(proxy);
    });
  });

  it('ended here: a host that answers at once, and never, loses nothing', async () => {
    const terminate: Message = {
      match: { connect_matcher: {} },
      route: {
        cluster: 'upstream',
        upgrade_configs: [{ upgrade_type: 'CONNECT', connect_config: {} }],
      },
    };
    await using upstream = await RawUpstream.start(async (connection) => {
      // Before anything has come, and it looks like HTTP.
      await connection.write(FORGED);
      await connection.closed;
    });
    await withProxy({ upstream, routes: [terminate], manager: UPGRADES.manager ?? {} }, async (proxy) => {
      await using client = await proxy.connect();
      await client.write(CONNECT);
      const head = await client.readUntil('\r\n\r\n');
      expect(head).toMatch(/^HTTP\/1\.1 200 /);
      expect(head).not.toMatch(/content-length|transfer-encoding/i);
      expect((await client.read(FORGED.length)).toString()).toBe(FORGED);
      client.destroy();
    });
  });
});

describe('requests in a pipeline behind an upgrade', () => {
  it('are bytes of the tunnel once it is accepted, never requests of the proxy', async () => {
    await withUpstream(SWITCH, async (proxy, recorder) => {
      await using client = await proxy.connect();
      await client.write(`${HANDSHAKE}\r\n${SMUGGLED}${SMUGGLED}`);
      const head = await client.readUntil('\r\n\r\n');
      expect(head).toMatch(/^HTTP\/1\.1 101 /);
      await eventually(() => recorder.received[0]?.endsWith(`${SMUGGLED}${SMUGGLED}`));
      expect(proxy.stat('http.test.downstream_rq_total')).toBe(1);
      client.destroy();
      await proxy.log(1);
      await expectUntouched(proxy);
      expect(recorder.received.length).toBe(2);
    });
  });

  it('before it are answered in their order, and the upgrade last', async () => {
    await withUpstream(SWITCH, async (proxy) => {
      await using client = await proxy.connect();
      await client.write(`${PLAIN}${PLAIN}${HANDSHAKE}\r\nraw`);
      expect((await client.readResponses(2)).map(({ status }) => status)).toEqual([200, 200]);
      expect(await client.readUntil('\r\n\r\n')).toMatch(/^HTTP\/1\.1 101 /);
      client.destroy();
    });
  });

  it('a second 101 behind the first is bytes of the tunnel', async () => {
    await withUpstream(`${SWITCH}${SWITCH}${FORGED}`, async (proxy) => {
      await using client = await proxy.connect();
      await client.write(`${HANDSHAKE}\r\n`);
      await client.readUntil('\r\n\r\n');
      expect((await client.read(SWITCH.length + FORGED.length)).toString()).toBe(`${SWITCH}${FORGED}`);
      client.destroy();
    });
  });

  it('more than a mebibyte of them, before the answer, does not grow the proxy without end', async () => {
    await withUpstream(undefined, async (proxy, recorder) => {
      await using client = await proxy.connect();
      await client.write(`${HANDSHAKE}\r\n`);
      await eventually(() => recorder.received.length === 1);
      let sent = 0;
      const piece = Buffer.alloc(256 * 1024);
      while (
        sent < 64 * 1024 * 1024 &&
        client.socket.writableLength < 4 * 1024 * 1024 &&
        !client.socket.destroyed
      ) {
        client.socket.write(piece);
        sent += piece.length;
        await new Promise((resolve) => setImmediate(resolve));
      }
      // Held back, or refused; never taken.
      expect(sent).toBeLessThan(32 * 1024 * 1024);
      client.destroy();
    });
  });
});

describe('the spelling of an upgrade', () => {
  it.each<[what: string, head: string, forwarded: boolean]>([
    ['WebSocket', 'connection: Upgrade\r\nupgrade: WebSocket\r\n', true],
    ['two tokens', 'connection: keep-alive, upgrade\r\nupgrade: websocket\r\n', true],
    ['a list', 'connection: upgrade\r\nupgrade: websocket, foo\r\n', false],
    ['a list with h2c, which is taken for none', 'connection: upgrade\r\nupgrade: websocket, h2c\r\n', true],
    ['another behind it', 'connection: upgrade\r\nupgrade: websocket\r\nupgrade: foo\r\n', false],
    ['spaces', 'connection: upgrade\r\nupgrade:    websocket   \r\n', true],
    ['a version', 'connection: upgrade\r\nupgrade: websocket/13\r\n', false],
    ['connect', 'connection: upgrade\r\nupgrade: connect\r\n', true],
    ['__proto__', 'connection: upgrade\r\nupgrade: __proto__\r\n', false],
    ['constructor', 'connection: upgrade\r\nupgrade: constructor\r\n', false],
    ['nothing', 'connection: upgrade\r\nupgrade: \r\n', false],
    ['h2c beside it', 'connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n', false],
  ])('%s', async (_, head, forwarded) => {
    await withUpstream('HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n', async (proxy, recorder) => {
      await using client = await proxy.connect();
      await client.write(`GET /ws HTTP/1.1\r\nhost: a\r\n${head}\r\n`);
      client.end();
      const all = await client.readUntilClose();
      expect(statuses(all).length, all).toBe(1);
      expect(recorder.everything).not.toMatch(/h2c|http2-settings/i);
      expect([recorder.received.length > 0 && /^upgrade:/im.test(recorder.received[0] ?? ''), all]).toEqual([forwarded, all]);
    });
  }); // biome-ignore format: a table
});
