import { createServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import {
  FIRST_DYNAMIC_INDEX,
  FrameConnection,
  FrameFlag,
  FrameReader,
  FrameType,
  frames,
  HpackDecoder,
  Http2Code,
  Http2Setting,
  hpack,
  requestBlock,
  unpadded,
} from '../src/index.ts';

/** A plain Node server, and a client of frames that has begun. */
async function withServer(
  onStream: (stream: ServerHttp2Stream, headers: Readonly<Record<string, unknown>>, raw: string[]) => void,
  body: (client: FrameConnection) => Promise<void>,
): Promise<void> {
  const server = createServer();
  server.on('stream', (stream, headers, _flags, raw) => {
    stream.on('error', () => {});
    onStream(stream as ServerHttp2Stream, headers, raw as unknown as string[]);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  {
    await using client = await FrameConnection.connect({ port: (server.address() as AddressInfo).port });
    client.begin();
    await body(client);
  }
  await new Promise((resolve) => server.close(resolve));
}

describe('hpack', () => {
  it('reads what nghttp2 writes: every byte that a value may have, Huffman-coded and from the dynamic table', async () => {
    const bytes = Array.from({ length: 224 }, (_, i) => String.fromCharCode(i + 32)).filter(
      (c) => c !== '\x7f',
    );
    const values = [bytes.join(''), 'a'.repeat(100), ...bytes.map((c) => `${'e'.repeat(64)}${c}`)];
    await withServer(
      (stream) => {
        stream.respond(
          { ':status': 418, 'x-values': values.map((value) => `<${value}>`) },
          { endStream: true },
        );
      },
      async (client) => {
        for (const id of [1, 3, 5]) {
          client.request(id);
          const { status, headers } = await client.complete(id);
          expect(status).toBe(418);
          const got = headers.filter(([name]) => name === 'x-values').map(([, value]) => value);
          expect(got).toEqual(values.map((value) => `<${value}>`));
        }
      },
    );
  });

  it('writes what nghttp2 reads: all representations, and table sizes', async () => {
    const seen: string[][] = [];
    await withServer(
      (stream, _headers, raw) => {
        seen.push(raw);
        stream.respond({ ':status': 204 }, { endStream: true });
      },
      async (client) => {
        const head = [hpack.indexed(2), hpack.indexed(6), hpack.indexed(4), hpack.literal(1, 'a')];
        const first = [...head, hpack.remembered('x-dyn', 'v'.repeat(200)), hpack.never('x-never', 'n')];
        client.send(frames.headers(1, Buffer.concat(first), { endStream: true }));
        await client.complete(1);
        const again = [hpack.tableSize(4096), ...head, hpack.indexed(FIRST_DYNAMIC_INDEX)];
        client.send(frames.headers(3, Buffer.concat(again), { endStream: true }));
        expect((await client.complete(3)).status).toBe(204);
      },
    );
    expect(seen[0]).toEqual([
      ...[':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'a'],
      ...['x-dyn', 'v'.repeat(200), 'x-never', 'n'],
    ]);
    expect(seen[1]?.slice(-2)).toEqual(['x-dyn', 'v'.repeat(200)]);
  });

  it('integers of RFC 7541 appendix C.1', () => {
    expect(hpack.integer(10, 5)).toEqual(Buffer.from([0x0a]));
    expect(hpack.integer(1337, 5)).toEqual(Buffer.from([0x1f, 0x9a, 0x0a]));
    expect(hpack.integer(42, 8)).toEqual(Buffer.from([0x2a]));
  });

  it('the decoder keeps and evicts entries as appendix C.5 does', () => {
    const decoder = new HpackDecoder();
    decoder.decode(hpack.tableSize(64));
    decoder.decode(Buffer.concat([hpack.remembered('a', '1'), hpack.remembered('b', '2')]));
    expect(decoder.decode(hpack.indexed(FIRST_DYNAMIC_INDEX))).toEqual([['b', '2']]);
    expect(() => decoder.decode(hpack.indexed(FIRST_DYNAMIC_INDEX + 1))).toThrow(/no field 63/);
    expect(() => decoder.decode(Buffer.from([0x40, 0x05, 0x61]))).toThrow(/HPACK/);
  });
});

describe('frames', () => {
  it('the reader cuts them wherever the bytes are split', () => {
    const sent = Buffer.concat([
      frames.settings({ [Http2Setting.initialWindowSize]: 7 }),
      frames.headers(1, requestBlock(), {
        padding: 3,
        priority: { dependsOn: 5, weight: 256, exclusive: true },
      }),
      frames.data(1, 'abc', { padding: 255, endStream: true }),
      frames.continuation(3, Buffer.from('x'), false),
      frames.priority(1, { dependsOn: 0, weight: 1 }),
      frames.rstStream(1, Http2Code.refusedStream),
      frames.pushPromise(1, 2, requestBlock()),
      frames.ping(),
      frames.goaway(7, Http2Code.enhanceYourCalm, 'why'),
      frames.windowUpdate(0, 0x7fff_ffff),
    ]);
    const whole = new FrameReader().push(sent);
    const reader = new FrameReader();
    const cut = [...sent].flatMap((byte) => reader.push(Buffer.from([byte])));
    expect(cut).toEqual(whole);
    expect(whole.map(({ type }) => type)).toEqual([4, 1, 0, 9, 2, 3, 5, 6, 7, 8]);
    expect(unpadded(whole[1]!)).toEqual(requestBlock());
    expect(unpadded(whole[2]!).toString()).toBe('abc');
    expect(whole[2]!.flags).toBe(FrameFlag.padded | FrameFlag.endStream);
    expect(reader.pending).toBe(0);
  });

  it('a client keeps responses, trailers, resets, GOAWAY and settings', async () => {
    await withServer(
      (stream, headers) => {
        if (headers[':path'] === '/reset') stream.close(Http2Code.refusedStream);
        else {
          stream.additionalHeaders({ ':status': 103 });
          stream.respond({ ':status': 200 }, { waitForTrailers: true });
          stream.on('wantTrailers', () => stream.sendTrailers({ 'x-t': '1' }));
          stream.end('hello');
        }
      },
      async (client) => {
        client.request(1).request(3, { ':path': '/reset' });
        const answer = await client.complete(1);
        expect(answer).toMatchObject({ status: 200, informational: [103], trailers: [['x-t', '1']] });
        expect(answer.body.toString()).toBe('hello');
        expect((await client.complete(3)).reset).toBe(Http2Code.refusedStream);
        expect(await client.settled()).toBe(true);
        expect(client.framesOf(FrameType.settings).length).toBe(2);
        client.send(frames.windowUpdate(0, 0));
        await client.untilEnded();
        expect(client.goaway).toMatchObject({ code: Http2Code.protocolError });
        expect(await client.settled()).toBe(false);
        expect(await client.pour([frames.ping()])).toBe(0);
      },
    );
  });
});
