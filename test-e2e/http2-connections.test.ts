import { connect, type ClientHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import {
  eventually,
  FrameConnection,
  frames,
  gated,
  Gate,
  HTTP2_PREFACE,
  Http2Code,
  HttpUpstream,
  requestBlock,
  text,
  within,
} from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { httpListener, type Message, prefixRoute } from './support/config.ts';
import { behindPassthrough, passthroughFilter } from './support/passthrough.ts';
import { type TestProxy, withProxy } from './support/proxy.ts';

const MIB = 1024 * 1024;
const BEHIND = 'behind';

/** The ways in which bytes come to the codec: Node reads the socket itself, from its first byte or a later one, or it is given them. */
const WAYS: readonly (readonly [name: string, codecType: string, listener: string])[] = [
  ['the first bytes say so', 'AUTO', 'http'],
  ['the config says so', 'HTTP2', 'http'],
  ['a filter in front', 'AUTO', BEHIND],
  ['a filter in front, and the config says so', 'HTTP2', BEHIND],
];

describe.each(WAYS)('connections of HTTP/2: %s', (_way, codec_type, listener) => {
  const serve = async (
    body: (proxy: TestProxy, port: number, upstream: HttpUpstream) => Promise<void>,
    manager: Message = {},
  ): Promise<void> => {
    await using upstream = await HttpUpstream.start(text('ok'));
    const all = { codec_type, delayed_close_timeout: '0.1s', ...manager };
    const routes = [
      { match: { path: '/direct' }, direct_response: { status: 200, body: { inline_string: 'direct' } } },
      prefixRoute('/', 'upstream', { timeout: '0s' }),
    ];
    const setup = {
      upstream,
      manager: all,
      routes,
      listeners: [behindPassthrough(httpListener({ name: BEHIND, routes, manager: all }))],
      extensions: [passthroughFilter],
    };
    await withProxy(setup, (proxy) => body(proxy, proxy.portOf(listener), upstream));
  };

  const node = async (port: number, body: (session: ClientHttp2Session) => Promise<void>): Promise<void> => {
    const session = connect(`http://127.0.0.1:${port}`);
    session.on('error', () => {});
    try {
      await body(session);
    } finally {
      session.destroy();
    }
  };

  const begin = async (port: number): Promise<FrameConnection> => {
    const client = await FrameConnection.connect({ port });
    client.begin();
    await client.settled();
    return client;
  };

  it('everything in one piece, and byte by byte', async () => {
    await serve(async (_, port) => {
      const bytes = Buffer.concat([
        HTTP2_PREFACE,
        frames.settings(),
        frames.headers(1, requestBlock({ ':method': 'POST', ':path': '/a' })),
        frames.data(1, 'hello', { endStream: true }),
      ]);
      for (const size of [bytes.length, 1, 7]) {
        // An answer of its own would come in the middle of a frame.
        await using client = await FrameConnection.connect({ port }, { ackSettings: false });
        for (let at = 0; at < bytes.length; at += size) {
          client.send(bytes.subarray(at, at + size));
          await new Promise((resolve) => setImmediate(resolve));
        }
        expect((await client.complete(1)).body.toString()).toBe('ok');
      }
    });
  });

  it('large bodies both ways, several at once', async () => {
    await serve(async (_, port, upstream) => {
      upstream.answer = async ({ request, response }) => {
        response.end(await request.body);
      };
      const sent = Buffer.alloc(2 * MIB, 'abcdefghij');
      await node(port, async (session) => {
        const echoes = Array.from({ length: 4 }, async () => {
          const stream = session.request({ ':method': 'POST', ':path': '/echo' });
          stream.end(sent);
          const got: Buffer[] = [];
          for await (const chunk of stream) got.push(chunk as Buffer);
          expect(Buffer.concat(got).equals(sent)).toBe(true);
        });
        await within(Promise.all(echoes), 'the echoes', 20_000);
      });
    });
  });

  it('no HTTP/2: GOAWAY or the answer of HTTP/1.1, and the connection ends', async () => {
    await serve(async (proxy, port) => {
      await using client = await FrameConnection.connect({ port });
      client.send(Buffer.from('BREW / HTTP/9.9\r\n\r\n'));
      await client.untilEnded();
      await eventually(() => proxy.stat('http.test.downstream_cx_protocol_error') === 1);
    });
  });

  it('a client that breaks the protocol reads why, although it goes on', async () => {
    await serve(async (proxy, port) => {
      await using client = await begin(port);
      client.request(1, { ':path': '/direct' });
      await client.complete(1);
      client.send(frames.windowUpdate(0, 0), ...Array.from({ length: 100 }, () => frames.ping()));
      await client.untilEnded();
      expect(client.goaway?.code).toBe(Http2Code.protocolError);
      await eventually(() => proxy.stat('http.test.downstream_cx_protocol_error') === 1);
    });
  });

  it('streams in flight when it does are logged with the reason', async () => {
    await serve(async (proxy, port, upstream) => {
      const gate = new Gate();
      upstream.answer = gated(gate, text('late'));
      await using client = await begin(port);
      client.request(1);
      await gate.reached();
      client.send(frames.windowUpdate(0, 0));
      await client.untilEnded();
      gate.open();
      if (listener !== BEHIND) expect((await proxy.log())[0].details).toMatch(/^codec_error:/);
      await eventually(() => proxy.stat('cluster.upstream.upstream_rq_active') === 0);
    });
  });

  it('the last request that is allowed: GOAWAY, and the end although the client stays', async () => {
    await serve(
      async (proxy, port) => {
        await using client = await begin(port);
        client.request(1);
        await client.complete(1);
        client.request(3);
        expect((await client.complete(3)).body.toString()).toBe('ok');
        await client.untilEnded();
        expect(client.goaway).toMatchObject({ code: Http2Code.noError, lastStreamId: 3 });
        await eventually(() => proxy.stat('http.test.downstream_cx_active') === 0);
      },
      { common_http_protocol_options: { max_requests_per_connection: 2 } },
    );
  });

  it('idle_timeout: GOAWAY, and the end although the client stays', async () => {
    await serve(
      async (proxy, port) => {
        await using client = await begin(port);
        client.request(1);
        await client.complete(1);
        await client.untilEnded();
        expect(client.goaway).toMatchObject({ code: Http2Code.noError, lastStreamId: 1 });
        expect(proxy.stat('http.test.downstream_cx_idle_timeout')).toBe(1);
        await eventually(() => proxy.stat('http.test.downstream_cx_active') === 0);
      },
      { common_http_protocol_options: { idle_timeout: '0.1s' }, drain_timeout: '0.05s' },
    );
  });

  it('the client goes away in the middle: nothing is left', async () => {
    await serve(async (proxy, port, upstream) => {
      const gate = new Gate();
      upstream.answer = gated(gate, text('late'));
      const leave: readonly ((client: FrameConnection) => void)[] = [
        ({ socket }) => socket.end(),
        ({ socket }) => socket.destroy(),
        ({ socket }) => (socket as Socket).resetAndDestroy(),
        (client) => client.send(frames.goaway(0, Http2Code.internalError)),
      ];
      for (const [i, go] of leave.entries()) {
        await using client = await begin(port);
        client.request(1);
        client.send(
          frames.headers(3, requestBlock({ ':method': 'POST' })),
          frames.data(3, Buffer.alloc(16_000)),
        );
        await eventually(() => proxy.stat('http.test.downstream_rq_active') === 2);
        go(client);
        await eventually(() => proxy.stat('http.test.downstream_cx_active') === 0);
        expect(proxy.stat('http.test.downstream_rq_rx_reset')).toBe(2 * (i + 1));
        expect(proxy.stat('http.test.downstream_cx_protocol_error')).toBe(0);
      }
      gate.open();
    });
  });

  it('bytes are counted, both ways', async () => {
    await serve(async (proxy, port) => {
      await using client = await begin(port);
      client.request(1, { ':path': '/direct', 'x-pad': 'y'.repeat(1000) });
      await client.complete(1);
      client.socket.end();
      await client.untilEnded();
      await eventually(() => proxy.stat('http.test.downstream_cx_active') === 0);
      expect(proxy.stat('http.test.downstream_cx_rx_bytes_total')).toBeGreaterThan(1100);
      expect(proxy.stat('http.test.downstream_cx_rx_bytes_total')).toBeLessThan(1400);
      expect(proxy.stat('http.test.downstream_cx_tx_bytes_total')).toBeGreaterThan(100);
    });
  });
});
