import { constants } from 'node:http2';
import { eventually, SeededRandom } from '@dragoman/testing';
import { expect, test } from 'vitest';
import { type Answer, type Client, openClient, type Side } from './support/any-protocol.ts';
import { frame, framesOf, textFramesOf, webAnswerOf } from './support/grpc-bytes.ts';
import {
  connectBridge,
  grpcCluster,
  grpcRoute,
  grpcStats,
  grpcWeb,
  http1Bridge,
} from './support/grpc-config.ts';
import { GrpcCaller, SERVICE } from './support/grpc-peer.ts';
import { Http2Peer } from './support/http2-peer.ts';
import { withProxy } from './support/proxy.ts';

const NO_PEMS = { ca: '', cert: '', key: '', name: 'any.test' };
const SIDES: readonly Side[] = [
  { http: 1, tls: false },
  { http: 2, tls: false },
];

/** A way to call the server. */
interface Way {
  readonly headers: Record<string, string>;
  /** HTTP/1.1 only. */
  readonly old?: boolean;
  encode(message: Buffer): Buffer;
  decode(answer: Answer): Buffer | undefined;
}

const WAYS: Record<string, Way> = {
  'grpc-web': {
    headers: { 'content-type': 'application/grpc-web' },
    encode: (message) => frame(message),
    decode: ({ body }) => {
      const frames = framesOf(body);
      return webAnswerOf(frames).trailers?.['grpc-status'] === '0' ? frames[0]?.message : undefined;
    },
  },
  'grpc-web-text': {
    headers: { 'content-type': 'application/grpc-web-text', accept: 'application/grpc-web-text' },
    encode: (message) => Buffer.from(frame(message).toString('base64')),
    decode: ({ body }) => {
      const frames = textFramesOf(body);
      return webAnswerOf(frames).trailers?.['grpc-status'] === '0' ? frames[0]?.message : undefined;
    },
  },
  'connect unary': {
    headers: { 'content-type': 'application/proto', 'connect-protocol-version': '1' },
    encode: (message) => message,
    decode: ({ body }) => body,
  },
  'connect stream': {
    headers: { 'content-type': 'application/connect+proto' },
    encode: (message) => frame(message),
    decode: ({ body }) => {
      const [first, last] = framesOf(body);
      return last?.flags === 2 && String(last.message) === '{}' ? first?.message : undefined;
    },
  },
  bridge: {
    headers: { 'content-type': 'application/grpc' },
    old: true,
    encode: (message) => frame(message),
    decode: ({ headers, body }) => (headers['grpc-status'] === '0' ? framesOf(body)[0]?.message : undefined),
  },
  upgraded: {
    headers: { 'content-type': 'application/x-protobuf' },
    old: true,
    encode: (message) => message,
    decode: ({ headers, body }) => (headers['grpc-status'] === '0' ? body : undefined),
  },
};

/** Sends the message back, in pieces; one in eight calls is reset somewhere. */
function moody(random: SeededRandom) {
  return Http2Peer.start(({ stream }) => {
    const parts: Buffer[] = [];
    const dies = random.next() % 8 === 0;
    stream.on('data', (part: Buffer) => {
      parts.push(part);
      if (dies && random.next() % 3 === 0) stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    });
    stream.on('end', () => {
      if (stream.destroyed || stream.closed) return;
      stream.respond({ ':status': 200, 'content-type': 'application/grpc+proto' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => {
        if (dies) stream.close(constants.NGHTTP2_INTERNAL_ERROR);
        else stream.sendTrailers({ 'grpc-status': '0' });
      });
      const body = Buffer.concat(parts);
      for (let at = 0; at < body.length; ) {
        const size = 1 + (random.next() % 40_000);
        stream.write(body.subarray(at, at + size));
        at += size;
      }
      stream.end();
    });
  });
}

test('messages of every protocol arrive as they were sent, or not at all', async () => {
  const random = new SeededRandom(23);
  const upstream = await moody(new SeededRandom(29));
  const filters = [
    grpcStats({ stats_for_all_methods: true }),
    grpcWeb,
    connectBridge,
    http1Bridge({ upgrade_protobuf_to_grpc: true }),
  ];
  const counts = { whole: 0, failed: 0, given: 0 };

  async function one(client: Client, way: Way): Promise<void> {
    const message = Buffer.alloc(
      random.next() % [10, 1000, 200_000][random.next() % 3]!,
      random.next() % 251,
    );
    const exchange = { method: 'POST', path: `/${SERVICE}/Unary`, headers: way.headers };
    if (random.next() % 10 === 0) {
      const upload = client.begin(exchange);
      upload.write(way.encode(message).subarray(0, random.next() % 5000));
      upload.cut();
      await upload.answer.catch(() => {});
      counts.given++;
      return;
    }
    const answer = await client.send({ ...exchange, body: way.encode(message) }).catch(() => undefined);
    const echoed = answer?.status === 200 ? way.decode(answer) : undefined;
    if (echoed === undefined) counts.failed++;
    else {
      expect(echoed.equals(message)).toBe(true);
      counts.whole++;
    }
  }

  await withProxy(
    { upstream, upstreamFields: grpcCluster(), routes: [grpcRoute()], filters },
    async (proxy) => {
      for (const side of SIDES) {
        await using client = openClient(side, proxy.port, NO_PEMS);
        for (const way of Object.values(WAYS)) {
          if (way.old === true && side.http === 2) continue;
          for (let round = 0; round < 8; round++)
            await Promise.all(Array.from({ length: 8 }, () => one(client, way)));
        }
      }
      {
        using caller = new GrpcCaller(proxy.port);
        for (let i = 0; i < 64; i++) {
          const message = Buffer.alloc(random.next() % 100_000, i);
          const { code, messages } = await caller.unary(message);
          if (code === 0) expect(messages[0]?.equals(message)).toBe(true);
        }
      }
      await eventually(() => proxy.stat('cluster.upstream.upstream_rq_active') === 0);
      expect(proxy.stat('cluster.upstream.http2.streams_active')).toBe(0);
      expect(counts.whole).toBeGreaterThan(400);
      expect(counts.failed).toBeGreaterThan(30);
      expect(counts.given).toBeGreaterThan(30);
    },
  );
});
