import {
  FrameConnection,
  frames,
  Http2Setting,
  HTTP2_PREFACE,
  rawClient,
  requestBlock,
} from '@dragoman/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ATTACKS } from './support/http2-attacks.ts';
import { skipUnbuilt, UNBUILT } from './support/sidecar.ts';
import { Siege } from './support/siege.ts';
import { canMeasure, UNMEASURED } from './support/transfer.ts';

const DEFAULT_MIB = 48;
/** For an idle machine a tenth of it is much; the limit is for a busy one. */
const SLOWEST_MS = 3000;
/** Ten times what the dearest of them takes. */
const CPU_MS = 3000;

describe.skipIf(skipUnbuilt || !canMeasure)(`floods of HTTP/2${UNBUILT}${UNMEASURED}`, () => {
  let siege: Siege;

  beforeAll(async () => {
    siege = await Siege.start();
    // Its heap has breathed once before it is measured.
    for (let i = 0; i < 3; i++) await siege.watch((client) => client.settled());
  });
  afterAll(() => siege[Symbol.asyncDispose]());

  it.each(ATTACKS)('$name', async ({ name, attack, ends, counts, mib = DEFAULT_MIB }) => {
    const before = counts === undefined ? 0 : await siege.stat(counts);
    const outcome = await siege.watch(attack);
    if (process.env.SHOW !== undefined) console.log(name, JSON.stringify(outcome));
    expect(ends).toContain(outcome.end);
    expect(outcome.served).toBeGreaterThan(0);
    expect(outcome.slowestMs).toBeLessThan(SLOWEST_MS);
    expect(outcome.grownMib, 'memory').toBeLessThan(mib);
    expect(outcome.cpuMs, 'processor time').toBeLessThan(CPU_MS);
    if (counts !== undefined) expect(await siege.stat(counts)).toBeGreaterThan(before);
    await siege.expectIdle();
  });

  it('nothing of it stays', async () => {
    expect(siege.sidecar.stderr).not.toMatch(/\[(error|critical)\]|internal error|^\s+at /m);
    const { end } = await siege.watch(async (client) => {
      client.request(1, { ':path': '/quick' });
      expect((await client.complete(1)).body.toString()).toBe('ok');
    });
    expect(end).toBe('alive');
  });
});

describe.skipIf(skipUnbuilt || !canMeasure)(`slow clients of HTTP/2${UNBUILT}${UNMEASURED}`, () => {
  let siege: Siege;

  beforeAll(async () => {
    siege = await Siege.start({
      common_http_protocol_options: { idle_timeout: '0.5s' },
      stream_idle_timeout: '0.5s',
      drain_timeout: '0.1s',
    });
  });
  afterAll(() => siege[Symbol.asyncDispose]());

  it.each<[string, Buffer]>([
    ['nothing', Buffer.alloc(0)],
    ['half a preface', HTTP2_PREFACE.subarray(0, 6)],
    ['a preface without its end', HTTP2_PREFACE.subarray(0, 20)],
    ['a preface and half of SETTINGS', Buffer.concat([HTTP2_PREFACE, frames.settings({ 4: 1 }).subarray(0, 12)])],
    ['a preface and SETTINGS', Buffer.concat([HTTP2_PREFACE, frames.settings()])],
    ['half of HEADERS', Buffer.concat([HTTP2_PREFACE, frames.settings(), frames.headers(1, requestBlock()).subarray(0, 20)])],
    ['HEADERS without their end', Buffer.concat([HTTP2_PREFACE, frames.settings(), frames.headers(1, requestBlock(), { endHeaders: false })])],
  ])('that send %s and then nothing: idle_timeout', async (_, bytes) => {
    await using client = await rawClient({ port: siege.port });
    if (bytes.length > 0) await client.write(bytes);
    await client.readUntilClose();
    await siege.expectIdle();
  }); // biome-ignore format: a table

  it('that trickle a header block: idle_timeout, since no stream has begun', async () => {
    await using client = await siege.connect();
    client.send(frames.headers(1, requestBlock(), { endHeaders: false }));
    const block = Buffer.from([0x00, 0x7f, 0x80, 0x01]);
    client.send(http2Head(block.length + 200));
    const trickle = setInterval(() => client.send(Buffer.from('x')), 20);
    try {
      await client.untilEnded();
    } finally {
      clearInterval(trickle);
    }
    await siege.expectIdle();
  });

  it('that do not send a body: stream_idle_timeout', async () => {
    await using client = await siege.connect();
    client.send(frames.headers(1, requestBlock({ ':method': 'POST', ':path': '/hang' })));
    const response = await client.complete(1);
    expect(response.status).toBe(408);
    await siege.expectIdle();
  });

  it('that do not take a response which is complete: the stream is reset, and it is counted', async () => {
    const before = await siege.stat('http2.tx_flush_timeout');
    await using client = await siege.connect();
    client.send(frames.settings({ [Http2Setting.initialWindowSize]: 0 }));
    const ids = Array.from({ length: 50 }, (_, i) => 2 * i + 1);
    for (const id of ids) client.request(id, { ':path': '/quick' });
    // Each has its own timer, and the upstream answers in any order.
    await client.until(() => ids.every((id) => client.response(id).reset !== undefined), 'the resets');
    expect((await siege.stat('http2.tx_flush_timeout')) - before).toBe(50);
    await siege.expectIdle();
  });

  it('that do not take a response which is not: stream_idle_timeout', async () => {
    await using client = await siege.connect();
    client.send(frames.settings({ [Http2Setting.initialWindowSize]: 0 }));
    for (let id = 1; id < 100; id += 2) client.request(id, { ':path': '/large' });
    await client.until(() => client.response(99).reset !== undefined, 'the resets');
    await siege.expectIdle();
  });

  it('that read nothing at all: the connection ends', async () => {
    const client = await siege.connect();
    client.send(
      frames.settings({ [Http2Setting.initialWindowSize]: 0x7fff_ffff }),
      frames.windowUpdate(0, 0x7000_0000),
    );
    client.socket.pause();
    for (let id = 1; id < 60; id += 2) client.request(id, { ':path': '/large' });
    await siege.expectIdle();
    client.socket.destroy();
  });

  it('that close their side in the middle of everything', async () => {
    await using client = await siege.connect();
    client.request(1, { ':path': '/hang' });
    client.send(
      frames.headers(3, requestBlock({ ':method': 'POST', ':path': '/hang' })),
      frames.data(3, 'abc'),
    );
    await client.settled();
    client.socket.end();
    await client.untilEnded();
    await siege.expectIdle();
  });

  it('hundreds of connections that say no more than a preface', async () => {
    const clients = await Promise.all(
      Array.from({ length: 300 }, () => FrameConnection.connect({ port: siege.port })),
    );
    for (const client of clients) client.begin();
    const { served } = await siege.watch(async (client) => {
      client.request(1, { ':path': '/quick' });
      await client.complete(1);
    });
    expect(served).toBeGreaterThan(0);
    await Promise.all(clients.map((client) => client.untilEnded()));
    for (const client of clients) client.socket.destroy();
    await siege.expectIdle();
  });
});

/** The head of a CONTINUATION on stream 1. */
function http2Head(length: number): Buffer {
  return Buffer.from([0, length >> 8, length & 0xff, 9, 0, 0, 0, 0, 1]);
}
