import {
  frames,
  FrameType,
  Http2Code,
  hpack,
  HTTP2_PREFACE,
  http2Frame,
  requestBlock,
} from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { type Exchange, responseOf, ServerRig, type ServerRigOptions, trailersOf } from './server-rig.ts';

const FRAME = 16 * 1024;

/** How far an exchange has got. The request is a POST whose end the client sends itself where it says so. */
type Moment = readonly [name: string, bring: (rig: ServerRig) => Promise<unknown>];

const post = (rig: ServerRig): Promise<unknown> => {
  rig.client.request(1, { ':method': 'POST' }, false);
  return rig.settle();
};

const MOMENTS: readonly Moment[] = [
  ['behind the headers', post],
  [
    'in the body',
    async (rig) => {
      await post(rig);
      await rig.send(frames.data(1, 'abc'));
    },
  ],
  [
    'in a body that was stopped',
    async (rig) => {
      await post(rig);
      rig.exchange.accept = false;
      await rig.send(frames.data(1, Buffer.alloc(FRAME)), frames.data(1, Buffer.alloc(FRAME)));
    },
  ],
  [
    'behind the request',
    async (rig) => {
      await post(rig);
      await rig.send(frames.data(1, 'abc', { endStream: true }));
    },
  ],
  [
    'behind an interim response',
    async (rig) => {
      await post(rig);
      rig.exchange.encoder.informational(responseOf(103));
      await rig.settle();
    },
  ],
  [
    'behind the response’s headers',
    async (rig) => {
      await post(rig);
      rig.exchange.encoder.headers(responseOf(200), false);
      await rig.settle();
    },
  ],
  [
    'in the response',
    async (rig) => {
      await post(rig);
      await rig.send(frames.data(1, '', { endStream: true }));
      rig.exchange.encoder.headers(responseOf(200), false);
      rig.exchange.encoder.body(Buffer.from('half'), false, false);
      await rig.settle();
    },
  ],
  [
    'in a response that waits for its window',
    async (rig) => {
      await post(rig);
      rig.exchange.encoder.headers(responseOf(200), false);
      rig.exchange.encoder.body(Buffer.alloc(200_000, 'x'), false, true);
      await rig.settle();
      expect(rig.exchange.events).not.toContain('writable');
    },
  ],
];

/** Everything that a handler may still do, too late. */
function late({ encoder }: Exchange): void {
  encoder.informational(responseOf(103));
  encoder.headers(responseOf(200), false);
  encoder.body(Buffer.from('late'), false, true);
  encoder.trailers(trailersOf({ late: '1' }));
  encoder.body(Buffer.from('late'), true, false);
  encoder.pauseBody();
  encoder.resumeBody();
  encoder.reset('local-reset');
  encoder.closeAfterResponse();
}

function expectQuiet(rig: ServerRig): void {
  expect(rig.stat('streams_active')).toBe(0);
  expect(rig.codec.activeStreams).toBe(0);
  expect(rig.events.filter((event) => event.startsWith('bug'))).toEqual([]);
  for (const exchange of rig.exchanges) {
    expect(exchange.ends).toBeLessThanOrEqual(2);
    // Nothing is said to a handler whose stream is over.
    const reset = exchange.events.findIndex((event) => event.startsWith('reset'));
    if (reset >= 0) expect(exchange.events.slice(reset)).toHaveLength(1);
  }
}

describe('the client resets a stream', () => {
  describe.each([Http2Code.noError, Http2Code.cancel, Http2Code.internalError, Http2Code.refusedStream])(
    'with code %i',
    (code) => {
      it.each(MOMENTS)(
        '%s: the handler hears it once, and what it does then does nothing',
        async (_, bring) => {
          const rig = new ServerRig();
          await bring(rig);
          await rig.send(frames.rstStream(1, code));
          const reset = code === Http2Code.refusedStream ? 'http2.remote_refuse' : 'http2.remote_reset';
          expect(rig.exchange.reset).toBe(`remote-reset:${reset}`);
          expect(rig.stat('rx_reset')).toBe(1);
          expect(rig.events).toEqual(['stream-complete']);
          late(rig.exchange);
          await rig.settle();
          expect(rig.exchange.events.filter((event) => event.startsWith('reset'))).toHaveLength(1);
          expect(rig.client.framesOf(FrameType.rstStream, 1)).toEqual([]);
          expect(rig.stat('tx_reset')).toBe(0);
          expectQuiet(rig);
        },
      );
    },
  );

  it('in the same breath in which it opened it', async () => {
    const rig = new ServerRig();
    await rig.settle();
    rig.client.send(
      frames.headers(1, requestBlock(), { endStream: true }),
      frames.rstStream(1),
      frames.headers(3, requestBlock(), { endStream: true }),
    );
    await rig.settle();
    expect(rig.exchanges.map(({ reset }) => reset)).toEqual(['remote-reset:http2.remote_reset', undefined]);
    rig.exchanges[1]?.respond(200, {}, 'ok');
    await rig.settle();
    expect(rig.client.response(3).body.toString()).toBe('ok');
    expectQuiet(rig);
  });

  it('whose response is under way already as a whole: nobody is told', async () => {
    const rig = new ServerRig({
      settings: { 4: 0 },
      onRequest: (exchange) => exchange.respond(200, {}, 'x'.repeat(1000)),
    });
    rig.client.request(1);
    await rig.settle();
    expect(rig.events).toEqual(['stream-complete']);
    await rig.send(frames.rstStream(1));
    expect(rig.exchange.events).toEqual(['headers!']);
    expect(rig.events).toEqual(['stream-complete']);
    expectQuiet(rig);
  });
});

describe('the server resets a stream', () => {
  it.each(MOMENTS)('%s: RST_STREAM alone, once, and nobody is told', async (_, bring) => {
    const rig = new ServerRig();
    await bring(rig);
    const before = rig.exchange.events.length;
    rig.exchange.encoder.reset('local-reset');
    await rig.settle();
    expect(rig.client.response(1)).toMatchObject({ reset: Http2Code.internalError, ended: false });
    expect(rig.client.framesOf(FrameType.rstStream, 1)).toHaveLength(1);
    expect(rig.exchange.events).toHaveLength(before);
    expect([rig.stat('tx_reset'), rig.stat('rx_reset')]).toEqual([1, 0]);
    late(rig.exchange);
    // What the client had sent before it knew is no error.
    await rig.send(frames.data(1, 'on its way'), frames.windowUpdate(1, 10), frames.rstStream(1));
    expect(rig.client.goaway).toBeUndefined();
    rig.client.request(3);
    await rig.settle();
    expect(rig.exchanges).toHaveLength(2);
    rig.exchanges[1]?.respond();
    await rig.settle();
    expectQuiet(rig);
  });

  it.each([
    ['protocol-error', Http2Code.protocolError],
    ['connection-failure', Http2Code.connectError],
    ['overload', Http2Code.enhanceYourCalm],
    ['local-reset', Http2Code.internalError],
    ['connection-termination', Http2Code.internalError],
  ] as const)('%s is code %i', async (reason, code) => {
    const rig = new ServerRig({ onRequest: ({ encoder }) => encoder.reset(reason) });
    rig.client.request(1, { ':method': 'POST' }, false);
    await rig.settle();
    expect(rig.client.response(1).reset).toBe(code);
    expectQuiet(rig);
  });

  it('inside every call to the handler', async () => {
    for (const when of ['headers', 'body', 'trailers', 'writable']) {
      const rig = new ServerRig({
        onRequest: (exchange) => {
          exchange.onCall = (event) => {
            if (event.startsWith(when)) exchange.encoder.reset('local-reset');
          };
          if (when === 'headers') exchange.encoder.reset('local-reset');
          if (when === 'writable') {
            exchange.encoder.headers(responseOf(200), false);
            exchange.encoder.body(Buffer.alloc(20_000), false, true);
          }
        },
      });
      rig.client.request(1, { ':method': 'POST' }, false);
      rig.client.send(
        frames.data(1, 'a'),
        frames.data(1, 'b'),
        frames.headers(1, hpack.block([['x-t', '1']]), { endStream: true }),
      );
      await rig.settle();
      expect(rig.client.response(1).reset, when).toBe(Http2Code.internalError);
      expect(rig.exchange.events.at(-1)?.startsWith(when), when).toBe(true);
      expectQuiet(rig);
    }
  });
});

describe('a response before the request is complete', () => {
  it.each([
    ['without a body', (exchange: Exchange) => exchange.respond(413)],
    ['with one', (exchange: Exchange) => exchange.respond(413, {}, 'too large')],
    ['with a length', (exchange: Exchange) => exchange.respond(413, { 'content-length': '9' }, 'too large')],
    [
      'with trailers',
      ({ encoder }: Exchange) => {
        encoder.headers(responseOf(413), false);
        encoder.trailers(trailersOf({ 'grpc-status': '8' }));
      },
    ],
  ])('%s: it is complete, then NO_ERROR', async (_, answer) => {
    const rig = new ServerRig({ onRequest: answer });
    rig.client.request(1, { ':method': 'POST' }, false);
    await rig.settle();
    expect(rig.client.response(1)).toMatchObject({ status: 413, ended: true, reset: Http2Code.noError });
    expect(rig.exchange.events).toEqual(['headers']);
    expect(rig.stat('tx_reset')).toBe(0);
    // The client had not known.
    await rig.send(...Array.from({ length: 8 }, () => frames.data(1, Buffer.alloc(FRAME))));
    expect(rig.client.goaway).toBeUndefined();
    rig.client.request(3);
    await rig.settle();
    expect(rig.client.response(3).status).toBe(413);
    expectQuiet(rig);
  });

  it('while the body is stopped', async () => {
    const rig = new ServerRig();
    rig.client.request(1, { ':method': 'POST' }, false);
    await rig.settle();
    rig.exchange.encoder.pauseBody();
    await rig.send(frames.data(1, Buffer.alloc(FRAME)));
    rig.exchange.respond(413, {}, 'no');
    await rig.settle();
    expect(rig.client.response(1)).toMatchObject({ status: 413, ended: true, reset: Http2Code.noError });
    expect(rig.exchange.events).toEqual(['headers']);
    expectQuiet(rig);
  });

  it('that waits for a window does not lose its end when the client goes on sending', async () => {
    const rig = new ServerRig({
      settings: { 4: 0 },
      onRequest: (exchange) => exchange.respond(200, {}, 'hello'),
    });
    rig.client.request(1, { ':method': 'POST' }, false);
    await rig.send(frames.data(1, 'abc'), frames.data(1, 'def', { endStream: true }));
    await rig.send(frames.windowUpdate(1, 100));
    expect(rig.client.response(1)).toMatchObject({ status: 200, ended: true });
    expect(rig.client.response(1).body.toString()).toBe('hello');
    expectQuiet(rig);
  });
});

describe('GOAWAY', () => {
  it('of a client: its streams are served to their ends, then the connection ends', async () => {
    const rig = new ServerRig();
    rig.client.request(1).request(3, { ':method': 'POST' }, false);
    await rig.settle();
    await rig.send(frames.goaway(0));
    rig.exchanges[0]?.respond(200, {}, 'one');
    await rig.send(frames.data(3, 'abc', { endStream: true }));
    expect(rig.exchanges[1]?.body).toBe('abc');
    expect(rig.closed).toBe(false);
    rig.exchanges[1]?.respond(200, {}, 'three');
    await rig.settle();
    expect([1, 3].map((id) => rig.client.response(id).body.toString())).toEqual(['one', 'three']);
    expect(rig.closed).toBe(true);
    expect(rig.events.filter((event) => event.startsWith('connection-error'))).toEqual([]);
    expectQuiet(rig);
  });

  it('of a client, and then something that breaks the protocol: Node does not say so once its own is out', async () => {
    const rig = new ServerRig();
    rig.client.request(1);
    await rig.settle();
    await rig.send(frames.goaway(0));
    await rig.send(frames.data(1, 'half-closed'));
    expect(rig.client.goaway?.code).toBe(Http2Code.streamClosed);
    expect(rig.exchange.reset).toMatch(/^protocol-error:codec_error/);
    expect(rig.closed).toBe(true);
    expectQuiet(rig);
  });

  it('of ours, and then something that breaks the protocol: it ends at the latest when its responses had their time', async () => {
    const rig = new ServerRig({ options: { streamFlushTimeoutMs: 5000 } });
    rig.client.request(1);
    await rig.settle();
    rig.codec.startDrain();
    await rig.settle();
    await rig.send(frames.data(1, 'half-closed'));
    rig.exchange.respond(200, {}, 'never sent');
    await rig.settle();
    await rig.advance(5000);
    await rig.advance(rig.pair.server.delayedCloseMs);
    expect(rig.closed).toBe(true);
    expectQuiet(rig);
  });

  it('of a client with an error ends the connection, and is no error of ours', async () => {
    const rig = new ServerRig();
    rig.client.request(1);
    await rig.settle();
    await rig.send(frames.goaway(0, Http2Code.internalError, 'debug data'));
    expect(rig.exchange.reset).toMatch(/^(connection-termination|remote-reset)/);
    expect(rig.closed).toBe(true);
    expect(rig.events.filter((event) => event.startsWith('connection-error'))).toEqual([]);
    expectQuiet(rig);
  });

  it('of ours, at rest: it says how far we got, and the connection ends', async () => {
    const rig = new ServerRig({ onRequest: (exchange) => exchange.respond() });
    rig.client.request(1).request(3);
    await rig.settle();
    rig.codec.startDrain();
    rig.codec.startDrain();
    await rig.settle();
    expect(rig.client.goaway).toMatchObject({ code: Http2Code.noError, lastStreamId: 3 });
    expect(rig.client.framesOf(FrameType.goaway)).toHaveLength(1);
    expect(rig.stat('goaway_sent')).toBe(1);
    expect(rig.closed).toBe(true);
    expectQuiet(rig);
  });

  it('of ours, before a client has said anything', async () => {
    const rig = new ServerRig({ settings: undefined });
    rig.codec.startDrain();
    await rig.settle();
    expect(rig.client.goaway).toMatchObject({ code: Http2Code.noError, lastStreamId: 0 });
    expect(rig.closed).toBe(true);
  });

  it('of ours, with streams in flight: they end as they would have, new ones are not taken', async () => {
    const rig = new ServerRig();
    rig.client.request(1).request(3, { ':method': 'POST' }, false);
    await rig.settle();
    rig.codec.startDrain();
    await rig.settle();
    rig.client.request(5);
    await rig.settle();
    expect(rig.exchanges).toHaveLength(2);
    expect(rig.closed).toBe(false);
    rig.exchanges[0]?.respond(200, {}, 'one');
    await rig.send(frames.data(3, 'abc', { endStream: true }));
    const { encoder } = rig.exchanges[1] as Exchange;
    encoder.headers(responseOf(200), false);
    encoder.body(Buffer.alloc(200_000, 'x'), true, true);
    await rig.settle();
    expect(rig.closed).toBe(false);
    await rig.send(frames.windowUpdate(0, 200_000), frames.windowUpdate(3, 200_000));
    expect(rig.client.response(3)).toMatchObject({ ended: true });
    expect(rig.client.response(3).body.length).toBe(200_000);
    expect(rig.closed).toBe(true);
    expectQuiet(rig);
  });

  it('closeAfterResponse drains', async () => {
    const rig = new ServerRig({
      onRequest: (exchange) => {
        exchange.encoder.closeAfterResponse();
        exchange.respond(200, {}, 'last');
      },
    });
    rig.client.request(1);
    await rig.settle();
    expect(rig.client.response(1)).toMatchObject({ ended: true });
    expect(rig.client.goaway).toMatchObject({ lastStreamId: 1, code: 0 });
    expect(rig.closed).toBe(true);
    expectQuiet(rig);
  });

  it('both at once', async () => {
    const rig = new ServerRig();
    rig.client.request(1);
    await rig.settle();
    rig.codec.startDrain();
    await rig.send(frames.goaway(0));
    rig.exchange.respond(200, {}, 'ok');
    await rig.settle();
    expect(rig.client.response(1).body.toString()).toBe('ok');
    expect(rig.closed).toBe(true);
    expectQuiet(rig);
  });
});

describe('the connection ends', () => {
  const ways: readonly (readonly [string, (rig: ServerRig) => void, local: boolean])[] = [
    ['with the client’s FIN', (rig) => rig.pair.client.end(), false],
    ['with the client’s close', (rig) => rig.pair.client.close('flush'), false],
    ['with the client’s RST', (rig) => rig.pair.client.close('reset'), false],
    ['with a close of ours', (rig) => rig.pair.server.close('flush'), true],
    ['with a close of ours at once', (rig) => rig.pair.server.close('now'), true],
  ];
  describe.each(ways)('%s', (_way, end) => {
    it.each(MOMENTS)('%s: the handler hears it once', async (_, bring) => {
      const rig = new ServerRig();
      await bring(rig);
      end(rig);
      await rig.settle();
      expect(rig.exchange.reset).toMatch(/^connection-termination:/);
      expect(rig.closed).toBe(true);
      late(rig.exchange);
      await rig.settle();
      expect(rig.events.filter((event) => event.startsWith('connection-error'))).toEqual([]);
      expect(rig.events.filter((event) => event.startsWith('closed'))).toHaveLength(1);
      expectQuiet(rig);
    });

    it('before the preface, in it, and behind it', async () => {
      for (const bytes of [Buffer.alloc(0), HTTP2_PREFACE.subarray(0, 20), HTTP2_PREFACE]) {
        const rig = new ServerRig({ settings: undefined });
        if (bytes.length > 0) rig.client.send(bytes);
        await rig.settle();
        end(rig);
        await rig.settle();
        expect(rig.closed).toBe(true);
        expectQuiet(rig);
      }
    });

    it('while it drains', async () => {
      const rig = new ServerRig();
      rig.client.request(1);
      await rig.settle();
      rig.codec.startDrain();
      end(rig);
      await rig.settle();
      expect(rig.exchange.reset).toMatch(/^connection-termination:/);
      expect(rig.closed).toBe(true);
      expectQuiet(rig);
    });
  });

  it('behind a response that is complete: the client gets it', async () => {
    const rig = new ServerRig({
      onRequest: (exchange) => {
        exchange.respond(200, {}, 'ok');
      },
    });
    rig.client.request(1);
    rig.pair.client.end();
    await rig.settle();
    expect(rig.closed).toBe(true);
    expectQuiet(rig);
  });
});

describe('the client breaks the protocol', () => {
  it.each<[string, Buffer, number]>([
    ['a frame of SETTINGS on a stream', http2Frame(FrameType.settings, 0, 1), Http2Code.protocolError],
    ['a frame that is too large', http2Frame(FrameType.data, 0, 1, Buffer.alloc(16_385)), Http2Code.frameSizeError],
    ['HEADERS that are no HPACK', frames.headers(3, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff])), Http2Code.compressionError],
    ['DATA on a stream that is not open', frames.data(9, 'x'), Http2Code.protocolError],
    ['a window beyond 2^31-1', frames.windowUpdate(0, 0x7fff_ffff), Http2Code.flowControlError],
    ['PUSH_PROMISE', frames.pushPromise(1, 2, requestBlock()), Http2Code.protocolError],
  ])('%s: GOAWAY, and every stream hears why', async (_, bytes, code) => {
    const rig = new ServerRig();
    rig.client.request(1, { ':method': 'POST' }, false);
    await rig.settle();
    await rig.send(bytes);
    expect(rig.client.goaway?.code).toBe(code);
    expect(rig.closed).toBe(true);
    const errors = rig.events.filter((event) => event.startsWith('connection-error:'));
    expect(errors).toEqual([expect.stringMatching(/^connection-error:codec_error:\S+$/)]);
    expect(rig.exchange.reset).toBe(`protocol-error:${errors[0]?.slice('connection-error:'.length)}`);
    expectQuiet(rig);
  }); // biome-ignore format: a table

  it('no preface', async () => {
    const rig = new ServerRig({ settings: undefined });
    await rig.send(Buffer.from('GET / HTTP/1.1\r\nhost: a\r\n\r\n'));
    expect(rig.closed).toBe(true);
    expect(rig.events.filter((event) => event.startsWith('connection-error:'))).toHaveLength(1);
    expectQuiet(rig);
  });
});

describe('CONNECT', () => {
  const connect = (fields: Readonly<Record<string, string>>, options?: ServerRigOptions): Promise<ServerRig> => {
    const rig = new ServerRig(options);
    rig.client.request(1, { ':method': 'CONNECT', ':authority': 'a.test:443', ':path': '', ':scheme': '', ...fields }, false);
    return rig.settle();
  };
  const websocket = { ':protocol': 'websocket', ':path': '/chat', ':scheme': 'https' };

  it('is a stream of bytes both ways', async () => {
    const rig = await connect({});
    const { exchange } = rig;
    expect([exchange.headers.method, exchange.headers.authority, exchange.headers.path]).toEqual(['CONNECT', 'a.test:443', '']);
    exchange.encoder.headers(responseOf(200), false);
    await rig.send(frames.data(1, 'ping'));
    exchange.encoder.body(Buffer.from('pong'), false, false);
    await rig.settle();
    expect([exchange.body, rig.client.response(1).body.toString()]).toEqual(['ping', 'pong']);
    exchange.encoder.body(Buffer.from('bye'), true, false);
    await rig.settle();
    expect(rig.client.response(1).ended).toBe(true);
    expectQuiet(rig);
  });

  it('with :scheme or :path is malformed', async () => {
    expect((await connect({ ':path': '/' })).client.response(1).reset).toBe(Http2Code.protocolError);
  });

  it('extended, where it is allowed: an upgrade of HTTP/1.1, and its 101 is 200', async () => {
    const rig = await connect(websocket, { options: { allowConnect: true } });
    const { exchange } = rig;
    expect(rig.client.serverSettings[8]).toBe(1);
    expect([exchange.headers.method, exchange.headers.path]).toEqual(['GET', '/chat']);
    expect([exchange.headers.get('upgrade'), exchange.headers.get('connection')]).toEqual(['websocket', 'upgrade']);
    exchange.encoder.headers(responseOf(101, { upgrade: 'websocket', connection: 'upgrade' }), false);
    exchange.encoder.body(Buffer.from('frame'), false, false);
    await rig.send(frames.data(1, 'masked'));
    expect(rig.client.response(1)).toMatchObject({ status: 200, headers: [[':status', '200']], ended: false });
    expect([exchange.body, rig.client.response(1).body.toString()]).toEqual(['masked', 'frame']);
    await rig.send(frames.data(1, '', { endStream: true }));
    expect(exchange.events.at(-1)).toBe('body:0!');
    exchange.encoder.body(Buffer.alloc(0), true, false);
    await rig.settle();
    expect(rig.client.response(1).ended).toBe(true);
    expectQuiet(rig);
  });

  it('extended, refused by a status', async () => {
    const rig = await connect(websocket, { options: { allowConnect: true }, onRequest: (exchange) => exchange.respond(403, {}, 'no') });
    expect(rig.client.response(1)).toMatchObject({ status: 403, ended: true });
    expectQuiet(rig);
  });

  it('extended, where it is not allowed, is malformed', async () => {
    const rig = await connect(websocket);
    expect(rig.client.serverSettings[8] ?? 0).toBe(0);
    expect(rig.exchanges).toEqual([]);
    expect(rig.client.response(1).reset).toBe(Http2Code.protocolError);
  });

  it.each(['', 'a b', 'x\r\ny'])('a :protocol of %j is no way to a header line', async (protocol) => {
    const rig = await connect({ ...websocket, ':protocol': protocol }, { options: { allowConnect: true } });
    for (const { headers } of rig.exchanges) for (const value of headers.values) expect(value).not.toMatch(/[\r\n]/);
    expect(rig.events.filter((event) => event.startsWith('bug'))).toEqual([]);
  });
}); // biome-ignore format: long lines of fields

describe('a bug of the handler', () => {
  it.each(['onHeaders', 'onBody', 'onTrailers', 'onReset', 'onWritable', 'onStream', 'onConnectionError'])(
    'in %s costs the connection and is told, and nothing else',
    async (where) => {
      let thrown = 0;
      const fail = (): never => {
        thrown++;
        throw new Error('a bug');
      };
      const rig = new ServerRig({
        onRequest: (exchange) => {
          if (where in exchange) (exchange as unknown as Record<string, unknown>)[where] = fail;
          exchange.encoder.headers(responseOf(200), false);
          exchange.encoder.body(Buffer.alloc(20_000), false, true);
          if (where === 'onHeaders') fail();
        },
      });
      if (where in rig) (rig as unknown as Record<string, unknown>)[where] = fail;
      rig.client.request(1, { ':method': 'POST' }, false);
      rig.client.send(frames.data(1, 'a'), frames.headers(1, hpack.block([['x-t', '1']]), { endStream: true }));
      await rig.settle();
      if (where === 'onReset') await rig.send(frames.rstStream(1));
      if (where === 'onConnectionError') await rig.send(frames.windowUpdate(0, 0));
      await rig.settle();
      expect(thrown).toBe(1);
      expect(rig.events.filter((event) => event.startsWith('bug'))).toEqual(['bug:a bug']);
      expect(rig.closed).toBe(true);
      expect(rig.stat('streams_active')).toBe(0);
    },
  ); // biome-ignore format: a table
});
