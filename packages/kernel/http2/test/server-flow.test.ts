import type { ResettableStream } from '@dragoman/core';
import { FrameType, frames, Http2Code, Http2Setting } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { type Exchange, responseOf, ServerRig, type ServerRigOptions, trailersOf } from './server-rig.ts';

const KIB = 1024;
const FRAME = 16 * KIB;
const WINDOW = 65_536;

const pieces = (total: number, size = FRAME): Buffer[] =>
  Array.from({ length: Math.ceil(total / size) }, (_, i) =>
    Buffer.alloc(Math.min(size, total - i * size), 97 + (i % 26)),
  );

async function posting(options: ServerRigOptions = {}): Promise<{ rig: ServerRig; exchange: Exchange }> {
  const rig = new ServerRig(options);
  rig.client.request(1, { ':method': 'POST' }, false);
  await rig.settle();
  return { rig, exchange: rig.exchange };
}

/** Bytes that the server has allowed on a stream (0: the connection) by WINDOW_UPDATE. */
const allowed = (rig: ServerRig, streamId: number): number =>
  rig.client
    .framesOf(FrameType.windowUpdate, streamId)
    .reduce((sum, { payload }) => sum + payload.readUInt32BE(), 0);

describe('request bodies', () => {
  it('arrive in order, in any number of frames, and end once', async () => {
    const { rig, exchange } = await posting();
    for (const text of ['a', '', 'bc', 'def']) await rig.send(frames.data(1, text));
    await rig.send(frames.data(1, '', { endStream: true }));
    expect(exchange.body).toBe('abcdef');
    expect(exchange.events).toEqual(['headers', 'body:1', 'body:2', 'body:3', 'body:0!']);
  });

  it('padding is not part of them', async () => {
    const { rig, exchange } = await posting();
    await rig.send(
      frames.data(1, 'ab', { padding: 0 }),
      frames.data(1, 'cd', { padding: 255, endStream: true }),
    );
    expect(exchange.body).toBe('abcd');
  });

  it('a handler that says no is given what is on its way later, and the window stays shut', async () => {
    const { rig, exchange } = await posting();
    exchange.accept = false;
    const all = pieces(WINDOW);
    await rig.send(...all.map((piece) => frames.data(1, piece)));
    expect(exchange.events).toEqual(['headers', `body:${FRAME}`]);
    // Node lets the client go on for as much as it keeps itself, and no more.
    await rig.send(...pieces(allowed(rig, 1)).map((piece) => frames.data(1, piece)));
    expect(allowed(rig, 1)).toBeLessThanOrEqual(2 * WINDOW);
    await rig.settle();
    expect(exchange.events).toHaveLength(2);
    const sent = WINDOW + allowed(rig, 1);
    exchange.encoder.resumeBody();
    await rig.settle();
    expect(exchange.bodyBytes).toBe(2 * FRAME);
    exchange.accept = true;
    exchange.encoder.resumeBody();
    await rig.settle();
    expect(exchange.bodyBytes).toBe(sent);
    expect(exchange.body.slice(0, WINDOW)).toBe(Buffer.concat(all).toString('latin1'));
    await rig.send(frames.data(1, 'end', { endStream: true }));
    expect(exchange.ends).toBe(1);
  });

  it('pauseBody and resumeBody do the same from outside', async () => {
    const { rig, exchange } = await posting();
    exchange.encoder.pauseBody();
    await rig.send(frames.data(1, 'abc'), frames.data(1, 'def', { endStream: true }));
    expect(exchange.events).toEqual(['headers']);
    exchange.encoder.resumeBody();
    await rig.settle();
    expect([exchange.body, exchange.ends]).toEqual(['abcdef', 1]);
  });

  it('pausing in the headers is early enough', async () => {
    const rig = new ServerRig({ onRequest: ({ encoder }) => encoder.pauseBody() });
    rig.client.request(1, { ':method': 'POST' }, false).send(frames.data(1, 'abc', { endStream: true }));
    await rig.settle();
    expect(rig.exchange.events).toEqual(['headers']);
    rig.exchange.encoder.resumeBody();
    await rig.settle();
    expect([rig.exchange.body, rig.exchange.ends]).toEqual(['abc', 1]);
  });

  it('a stopped stream does not stop the others', async () => {
    const rig = new ServerRig();
    for (const id of [1, 3]) rig.client.request(id, { ':method': 'POST' }, false);
    await rig.settle();
    const [stopped, going] = rig.exchanges as [Exchange, Exchange];
    stopped.accept = false;
    await rig.send(...pieces(WINDOW).map((piece) => frames.data(1, piece)));
    await rig.send(...pieces(32 * KIB).map((piece) => frames.data(3, piece)));
    expect([stopped.bodyBytes, going.bodyBytes]).toEqual([FRAME, 32 * KIB]);
  });

  // Node gives the connection window back at once, whoever has stopped: the windows of the streams are what bounds.
  it('stopped streams hold no more than their windows', async () => {
    const rig = new ServerRig({ options: { initialConnectionWindowSize: 128 * KIB } });
    const ids = [1, 3, 5, 7];
    for (const id of ids) rig.client.request(id, { ':method': 'POST' }, false);
    await rig.settle();
    for (const exchange of rig.exchanges) exchange.encoder.pauseBody();
    for (const id of ids) {
      await rig.send(...pieces(WINDOW).map((piece) => frames.data(id, piece)));
      // Node reads some ahead.
      const more = allowed(rig, id);
      expect(more).toBeLessThanOrEqual(WINDOW);
      await rig.send(...pieces(more).map((piece) => frames.data(id, piece)));
      expect(allowed(rig, id)).toBe(more);
    }
    expect(rig.client.goaway).toBeUndefined();
    await rig.send(...pieces(WINDOW + 1).map((piece) => frames.data(5, piece)));
    expect(rig.client.goaway?.code).toBe(Http2Code.flowControlError);
    expect(rig.exchanges.map(({ ends }) => ends)).toEqual([1, 1, 1, 1]);
  });

  it('1 MiB from a Node client, stopped and resumed at every chunk, comes as it was sent', async () => {
    const rig = new ServerRig({ settings: undefined });
    const session = rig.nodeClient();
    const sent = Buffer.concat(pieces(KIB * KIB, 10_007));
    const request = session.request({ ':method': 'POST', ':path': '/' });
    request.end(sent);
    await rig.settle();
    const { exchange } = rig;
    exchange.accept = false;
    while (exchange.ends === 0) {
      const before = exchange.bodyBytes;
      exchange.encoder.resumeBody();
      await rig.settle(4);
      if (exchange.ends === 0) expect(exchange.bodyBytes).toBeGreaterThan(before);
    }
    expect(exchange.body === sent.toString('latin1')).toBe(true);
    exchange.respond(200, {}, 'thanks');
    let answer = '';
    request.on('data', (chunk) => {
      answer += chunk;
    });
    await rig.settle();
    expect(answer).toBe('thanks');
    session.destroy();
    await rig.settle();
    expect(rig.stat('streams_active')).toBe(0);
  });
});

describe('response bodies', () => {
  async function answering(options: ServerRigOptions = {}): Promise<{ rig: ServerRig; exchange: Exchange }> {
    const rig = new ServerRig(options);
    rig.client.request(1);
    await rig.settle();
    rig.exchange.encoder.headers(responseOf(200), false);
    return { rig, exchange: rig.exchange };
  }

  it('go out in order and end once, holdable or not', async () => {
    const { rig, exchange } = await answering();
    const { encoder } = exchange;
    const borrowed = Buffer.from('bbb');
    expect(encoder.body(Buffer.from('aaa'), false, true)).toBe(true);
    expect(encoder.body(borrowed, false, false)).toBe(true);
    borrowed.fill('?');
    expect(encoder.body(Buffer.alloc(0), false, false)).toBe(true);
    const last = Buffer.from('ccc');
    expect(encoder.body(last, true, false)).toBe(true);
    last.fill('?');
    encoder.body(Buffer.from('late'), true, true);
    encoder.trailers(trailersOf({ late: '1' }));
    await rig.settle();
    const response = rig.client.response(1);
    expect(response).toMatchObject({ ended: true, reset: undefined, trailers: undefined });
    expect(response.body.toString()).toBe('aaabbbccc');
  });

  it('a large chunk is the sender’s again when it has gone', async () => {
    const { rig, exchange } = await answering();
    const large = Buffer.alloc(40 * KIB, 'x');
    expect(exchange.encoder.body(large, false, true)).toBe(false);
    await rig.settle();
    expect(exchange.events).toEqual(['headers!', 'writable']);
    large.fill('?');
    exchange.encoder.body(Buffer.alloc(0), true, true);
    await rig.settle();
    expect(rig.client.response(1).body.toString()).toBe('x'.repeat(40 * KIB));
  });

  it('a client whose window is 0 stops the sender within the limit, and gets all when it opens', async () => {
    const { rig, exchange } = await answering({ settings: { [Http2Setting.initialWindowSize]: 0 } });
    const { encoder } = exchange;
    let sent = 0;
    while (encoder.body(Buffer.alloc(KIB, 'x'), false, false)) {
      sent += KIB;
      expect(sent).toBeLessThanOrEqual(1024 * KIB);
    }
    sent += KIB;
    await rig.settle();
    expect(rig.client.response(1).body.length).toBe(0);
    expect(exchange.events).toEqual(['headers!']);
    // Within what HTTP/2 lets wait: the stream's own window, as in Envoy.
    expect(sent).toBeLessThanOrEqual(WINDOW + KIB);
    await rig.send(frames.windowUpdate(0, 1024 * KIB));
    let opened = 0;
    for (; opened < sent; opened += 10_000) await rig.send(frames.windowUpdate(1, 10_000));
    expect(exchange.events).toEqual(['headers!', 'writable']);
    expect(rig.client.response(1).body.length).toBe(sent);
    encoder.body(Buffer.alloc(0), true, true);
    await rig.settle();
    expect(rig.client.response(1)).toMatchObject({ ended: true });
  });

  it('the connection window counts for all streams together', async () => {
    const rig = new ServerRig({
      settings: { [Http2Setting.initialWindowSize]: 1024 * KIB },
      onRequest: (exchange) => exchange.respond(200, {}, Buffer.alloc(60 * KIB, 'x')),
    });
    rig.client.request(1).request(3);
    await rig.settle();
    expect(rig.client.bodyBytes).toBe(65_535);
    await rig.send(frames.windowUpdate(0, 1024 * KIB));
    expect(rig.client.bodyBytes).toBe(120 * KIB);
    expect([1, 3].map((id) => rig.client.response(id).ended)).toEqual([true, true]);
  });

  it('a window of one byte at a time gets there', async () => {
    const { rig, exchange } = await answering({ settings: { [Http2Setting.initialWindowSize]: 0 } });
    exchange.encoder.body(Buffer.from('hello'), true, true);
    for (let i = 0; i < 5; i++) {
      await rig.send(frames.windowUpdate(1, 1));
      expect(rig.client.response(1).body.toString()).toBe('hello'.slice(0, i + 1));
    }
    // Where trailers might have come, the end is a frame of its own, for which nghttp2 wants a window too.
    await rig.send(frames.windowUpdate(1, 1));
    expect(rig.client.response(1).ended).toBe(true);
  });

  it('a response that says its length ends with its last byte', async () => {
    const rig = new ServerRig({
      settings: { [Http2Setting.initialWindowSize]: 5 },
      onRequest: (exchange) => exchange.respond(200, { 'content-length': '5' }, 'hello'),
    });
    rig.client.request(1);
    await rig.settle();
    expect(rig.client.response(1)).toMatchObject({ ended: true });
    expect(rig.client.framesOf(FrameType.data, 1)).toHaveLength(1);
  });

  it('a client that takes nothing from the connection stops the sender too', async () => {
    const { rig, exchange } = await answering({
      settings: { [Http2Setting.initialWindowSize]: 2 ** 31 - 1 },
      pair: { highWatermarkBytes: 64 * KIB },
    });
    await rig.send(frames.windowUpdate(0, 2 ** 30));
    rig.pair.client.pauseReading();
    let sent = 0;
    for (let writable = true; writable && sent < 4096 * KIB; sent += 32 * KIB) {
      const before = exchange.events.length;
      writable = exchange.encoder.body(Buffer.alloc(32 * KIB, 'x'), false, true);
      await rig.settle(3);
      if (exchange.events.length > before) writable = true;
    }
    expect(sent).toBeLessThan(1024 * KIB);
    rig.pair.client.resumeReading();
    await rig.settle();
    expect(exchange.events.at(-1)).toBe('writable');
    exchange.encoder.body(Buffer.from('end'), true, true);
    await rig.settle();
    expect(rig.client.response(1).body.length).toBe(sent + 3);
  });

  it('16 MiB to a Node client that reads slowly come as they were sent', async () => {
    const rig = new ServerRig({ settings: undefined });
    const session = rig.nodeClient();
    const request = session.request({ ':path': '/' });
    const got: Buffer[] = [];
    request.on('readable', () => {
      const chunk = request.read(50_000) ?? request.read();
      if (chunk !== null) got.push(chunk);
    });
    await rig.settle();
    const { encoder } = rig.exchange;
    encoder.headers(responseOf(200), false);
    const total = 16 * KIB * KIB;
    let sent = 0;
    const chunk = (at: number): Buffer => Buffer.alloc(37_000, String(at % 10));
    const pump = (): void => {
      while (sent < total) {
        const piece = chunk(sent);
        sent += piece.length;
        if (!encoder.body(piece, sent >= total, true)) return;
      }
    };
    rig.exchange.onCall = (event) => {
      if (event === 'writable') pump();
    };
    pump();
    while (!request.readableEnded && !request.destroyed) await rig.settle(2);
    const all = Buffer.concat(got);
    expect(all.length).toBe(sent);
    let wrong = 0;
    for (let at = 0; at < all.length; at += 37_000) if (all[at] !== 48 + (at % 10)) wrong++;
    expect(wrong).toBe(0);
    session.destroy();
    await rig.settle();
    expect(rig.stat('streams_active')).toBe(0);
  });

  it.each([
    ['HEAD', 200],
    ['GET', 204],
    ['GET', 304],
  ])('%s answered with %i has no body, whatever is sent', async (method, status) => {
    const rig = new ServerRig();
    rig.client.request(1, { ':method': method });
    await rig.settle();
    const { encoder } = rig.exchange;
    encoder.headers(responseOf(status, { 'content-length': '5' }), false);
    expect(encoder.body(Buffer.from('he'), false, false)).toBe(true);
    expect(encoder.body(Buffer.alloc(100 * KIB), false, true)).toBe(true);
    encoder.body(Buffer.from('llo'), true, true);
    await rig.settle();
    expect(rig.client.response(1)).toMatchObject({ status, ended: true, reset: undefined });
    expect(rig.client.bodyBytes).toBe(0);
    expect(rig.stat('streams_active')).toBe(0);
    expect(rig.events).toEqual(['stream-complete']);
  });

  it('HEAD with trailers ends once, without them', async () => {
    const rig = new ServerRig();
    rig.client.request(1, { ':method': 'HEAD' });
    await rig.settle();
    rig.exchange.encoder.headers(responseOf(200), false);
    rig.exchange.encoder.trailers(trailersOf({ 'x-t': '1' }));
    await rig.settle();
    expect(rig.client.response(1)).toMatchObject({ status: 200, ended: true, reset: undefined });
    expect(rig.stat('streams_active')).toBe(0);
  });

  it('content-length that the body does not keep costs the stream, not the connection', async () => {
    const rig = new ServerRig({
      onRequest: ({ encoder }) => {
        encoder.headers(responseOf(200, { 'content-length': '10' }), false);
        encoder.body(Buffer.from('short'), true, true);
      },
    });
    rig.client.request(1);
    await rig.settle();
    rig.client.request(3);
    await rig.settle();
    expect(rig.exchanges).toHaveLength(2);
    expect(rig.stat('streams_active')).toBe(0);
  });
});

describe('what a stream has moved', () => {
  it('the meter counts payloads, heads before compression, and what frames add', async () => {
    const { rig, exchange } = await posting();
    const { encoder } = exchange;
    await rig.send(frames.data(1, 'abcde'), frames.data(1, 'fg', { endStream: true }));
    encoder.headers(responseOf(200, { 'x-y': 'z' }), false);
    encoder.body(Buffer.from('0123456789'), true, true);
    await rig.settle();
    // `:method POST :scheme http :path / :authority test`
    expect(encoder.requestHeadBytes).toBe(7 + 4 + 7 + 4 + 5 + 1 + 10 + 4);
    expect(encoder.meter?.wireBytesReceived).toBe(encoder.requestHeadBytes + 7 + 2 * 9);
    expect(encoder.meter?.headBytesSent).toBe(7 + 3 + 3 + 1);
    expect(encoder.meter?.wireBytesSent).toBe(14 + 9 + 10 + 9);
  });
});

describe('what a stream holds', () => {
  it('is what nobody has read of the request, and what nobody has taken of the response', async () => {
    const { rig, exchange } = await posting();
    const { encoder } = exchange;
    expect(encoder.heldBytes).toBe(0);
    encoder.pauseBody();
    await rig.send(frames.data(1, Buffer.alloc(5000)));
    expect(encoder.heldBytes).toBe(5000);
    encoder.resumeBody();
    await rig.settle();
    expect(encoder.heldBytes).toBe(0);
    encoder.headers(responseOf(200), false);
    encoder.body(Buffer.alloc(WINDOW + 4465), false, true);
    await rig.settle();
    // The chunk that is not through: Node says no more than that.
    expect(encoder.heldBytes).toBe(WINDOW + 4465);
    await rig.send(frames.windowUpdate(0, KIB * KIB), frames.windowUpdate(1, KIB * KIB));
    expect(encoder.heldBytes).toBe(0);
  });

  it('counts when the response is complete and waits for its client, and can be reset', async () => {
    const rig = new ServerRig();
    rig.client.request(1);
    await rig.settle();
    rig.exchange.respond(200, {}, Buffer.alloc(WINDOW + 10));
    await rig.settle();
    const unsent: ResettableStream[] = [];
    rig.codec.forEachUnsent?.((stream) => unsent.push(stream));
    expect(unsent.map(({ heldBytes }) => heldBytes)).toEqual([WINDOW + 10]);
    unsent[0]?.resetForOverload();
    await rig.settle();
    expect(rig.client.response(1).reset).toBe(Http2Code.enhanceYourCalm);
    expect([unsent[0]?.heldBytes, rig.stat('tx_reset')]).toEqual([0, 1]);
    unsent[0]?.resetForOverload();
    rig.codec.forEachUnsent?.(() => expect.unreachable());
    expect(rig.stat('tx_reset')).toBe(1);
  });
});
