import { createHash } from 'node:crypto';
import {
  eventually,
  FrameReader,
  FrameType,
  frames,
  Gate,
  HTTP2_PREFACE,
  hpack,
  Http2Code,
  RawUpstream,
} from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import type { Message } from './support/config.ts';
import { frame } from './support/grpc-bytes.ts';
import { grpcCluster, grpcRoute } from './support/grpc-config.ts';
import { GrpcCaller, GrpcPeer, metadata } from './support/grpc-peer.ts';
import { type ProxySetup, withProxy } from './support/proxy.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const UNLIMITED = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 };

const setupOf = (upstream: ProxySetup['upstream'], more: ProxySetup = {}): ProxySetup => ({
  upstream,
  upstreamFields: grpcCluster(),
  routes: [grpcRoute()],
  ...more,
});

const digest = (messages: readonly Buffer[]) => {
  const hash = createHash('sha256');
  for (const message of messages) hash.update(message);
  return hash.digest('hex');
};

/** Windows and buffers of 64 KiB on every leg. */
const SMALL_WINDOWS: Message = { initial_stream_window_size: 65_535, initial_connection_window_size: 65_535 };
const narrow = (upstream: GrpcPeer): ProxySetup =>
  setupOf(upstream, {
    upstreamFields: { ...grpcCluster(SMALL_WINDOWS), per_connection_buffer_limit_bytes: 65_536 },
    listener: { per_connection_buffer_limit_bytes: 65_536 },
    manager: { http2_protocol_options: SMALL_WINDOWS },
  });

/** A number once it stands still: nothing more comes of its own accord. */
async function settled(read: () => number): Promise<number> {
  let before = -1;
  let same = 0;
  await eventually(() => {
    const now = read();
    same = now === before ? same + 1 : 0;
    before = now;
    return same > 50;
  });
  return before;
}

describe('a reader that is slow', () => {
  // What two kernels and both peers hold is in it. By default an upstream has Envoy's window, 16 MiB a stream.
  const legs: [string, number, number, (upstream: GrpcPeer) => ProxySetup][] = [
    ['windows of 64 KiB', 16, 1.5, narrow],
    ['the defaults', 40, 20, setupOf],
  ];
  const messagesOf = (mebibytes: number) =>
    Array.from({ length: 64 * mebibytes }, (_, i) => Buffer.alloc(16 * KIB, `message ${i} `));

  test.each(legs)('gets a download as fast as it reads: %s', async (_, total, limit, setup) => {
    const messages = messagesOf(total);
    let sent = 0;
    const upstream = await GrpcPeer.start({
      serverStream(call) {
        for (const message of messages) {
          call.write(message, () => {
            sent += message.length;
          });
        }
        call.end();
      },
    });
    await withProxy(setup(upstream), async (proxy) => {
      using caller = new GrpcCaller(proxy.port);
      const { call, outcome } = caller.serverStream('go');
      call.pause();
      await eventually(() => proxy.stat('cluster.upstream.upstream_flow_control_paused_reading_total') > 0);
      expect(await settled(() => sent)).toBeLessThan(limit * MIB);
      call.resume();
      const { code, messages: received } = await outcome;
      expect([code, received.length, digest(received)]).toEqual([0, messages.length, digest(messages)]);
    });
  });

  test.each(legs)('is sent an upload as fast as it reads: %s', async (_, total, limit, setup) => {
    const gate = new Gate();
    const messages = messagesOf(total);
    const received: Buffer[] = [];
    const upstream = await GrpcPeer.start({
      async clientStream(call, done) {
        await gate.pass();
        call.on('data', (message: Buffer) => received.push(message));
        call.on('end', () => done(null, Buffer.from(digest(received))));
      },
    });
    await withProxy(setup(upstream), async (proxy) => {
      using caller = new GrpcCaller(proxy.port);
      const { call, outcome } = caller.clientStream();
      let sent = 0;
      for (const message of messages) {
        call.write(message, () => {
          sent += message.length;
        });
      }
      call.end();
      await eventually(() => proxy.stat('http.test.downstream_flow_control_paused_reading_total') > 0);
      expect(await settled(() => sent)).toBeLessThan(limit * MIB);
      gate.open();
      const { code, messages: answer } = await outcome;
      expect([code, String(answer[0])]).toEqual([0, digest(messages)]);
    });
  });

  test('does not hold up others on its connection', async () => {
    const upstream = await GrpcPeer.start({
      serverStream(call) {
        for (let i = 0; i < 32; i++) call.write(Buffer.alloc(64 * KIB));
        call.end();
      },
    });
    await withProxy(setupOf(upstream), async (proxy) => {
      using caller = new GrpcCaller(proxy.port);
      const slow = Array.from({ length: 4 }, () => caller.serverStream('go'));
      for (const { call } of slow) call.pause();
      await eventually(() => upstream.calls.length === 4);
      for (let i = 0; i < 20; i++) expect((await caller.unary(`call ${i}`)).code).toBe(0);
      for (const { call } of slow) call.resume();
      const outcomes = await Promise.all(slow.map(({ outcome }) => outcome));
      expect(outcomes.map(({ code, messages }) => [code, messages.length])).toEqual(slow.map(() => [0, 32]));
    });
  });

  test('who goes away while it is slow leaves nothing', async () => {
    const upstream = await GrpcPeer.start({
      serverStream(call) {
        for (let i = 0; i < 64; i++) call.write(Buffer.alloc(256 * KIB));
      },
    });
    await withProxy(narrow(upstream), async (proxy) => {
      using caller = new GrpcCaller(proxy.port);
      const { call, outcome } = caller.serverStream('go');
      call.pause();
      await eventually(() => proxy.stat('cluster.upstream.upstream_flow_control_paused_reading_total') > 0);
      call.cancel();
      expect((await outcome).code).toBe(1);
      await eventually(() => upstream.cancelled === 1);
      expect((await caller.unary('still here')).code).toBe(0);
    });
  });
});

describe('much at once', () => {
  test('a message of 8 MiB there and back', async () => {
    const upstream = await GrpcPeer.start({}, UNLIMITED);
    await withProxy(setupOf(upstream), async (proxy) => {
      using caller = new GrpcCaller(proxy.port, UNLIMITED);
      const message = Buffer.alloc(8 * MIB, 'abcdefghijk');
      const { code, messages } = await caller.unary(message);
      expect([code, messages[0]?.equals(message)]).toEqual([0, true]);
    });
  });

  test('1,000 calls in flight on one connection', async () => {
    const waiting: (() => void)[] = [];
    const upstream = await GrpcPeer.start({
      unary(call, done) {
        waiting.push(() => done(null, call.request));
        if (waiting.length === 1000) for (const answer of waiting) answer();
      },
    });
    const manager = { http2_protocol_options: { max_concurrent_streams: 1000 } };
    await withProxy(setupOf(upstream, { manager }), async (proxy) => {
      using caller = new GrpcCaller(proxy.port);
      const outcomes = await Promise.all(Array.from({ length: 1000 }, (_, i) => caller.unary(`call ${i}`)));
      expect(outcomes.every(({ code, messages }, i) => code === 0 && String(messages) === `call ${i}`)).toBe(
        true,
      );
      expect(proxy.stat('http.test.downstream_cx_total')).toBe(1);
      expect(proxy.stat('cluster.upstream.upstream_rq_200')).toBe(1000);
    });
  });

  test('1,000 calls, when a connection takes few at a time', async () => {
    const upstream = await GrpcPeer.start();
    await withProxy(
      setupOf(upstream, { upstreamFields: grpcCluster({ max_concurrent_streams: 10 }) }),
      async (proxy) => {
        using caller = new GrpcCaller(proxy.port);
        const outcomes = await Promise.all(Array.from({ length: 1000 }, (_, i) => caller.unary(`call ${i}`)));
        expect(
          outcomes.every(({ code, messages }, i) => code === 0 && String(messages) === `call ${i}`),
        ).toBe(true);
        expect(proxy.stat('cluster.upstream.upstream_cx_total')).toBeGreaterThan(1);
      },
    );
  });

  test('5,000 small messages each way keep their order', async () => {
    const upstream = await GrpcPeer.start();
    await withProxy(setupOf(upstream), async (proxy) => {
      using caller = new GrpcCaller(proxy.port);
      const { call, outcome } = caller.bidi();
      for (let i = 0; i < 5000; i++) call.write(Buffer.from(`${i}`));
      call.end();
      const { code, messages } = await outcome;
      expect([code, messages.every((message, i) => String(message) === `${i}`), messages.length]).toEqual([
        0,
        true,
        5000,
      ]);
    });
  });
});

describe('a long stream', () => {
  test('lives as long as something moves, in either direction', async () => {
    const upstream = await GrpcPeer.start({
      bidi(call) {
        let pings = 0;
        call.on('data', () => {});
        const timer = setInterval(() => {
          if (++pings <= 6) call.write(Buffer.from('ping'));
        }, 50);
        call.on('end', () => {
          clearInterval(timer);
          call.end();
        });
      },
    });
    const manager = { stream_idle_timeout: '0.2s' };
    await withProxy(setupOf(upstream, { manager }), async (proxy) => {
      using caller = new GrpcCaller(proxy.port);
      const { call, outcome } = caller.bidi();
      let pings = 0;
      call.on('data', () => {
        // From now on it is the client that keeps it alive.
        if (++pings < 6) return;
        const timer = setInterval(() => {
          if (++pings > 12) {
            clearInterval(timer);
            call.end();
          } else call.write(Buffer.from('pong'));
        }, 50);
      });
      const { code, messages } = await outcome;
      expect([code, messages.length]).toEqual([0, 6]);
    });
  });

  test('has the idle time of its route', async () => {
    const upstream = await GrpcPeer.start({ bidi: (call) => void call.on('data', () => {}) });
    const manager = { stream_idle_timeout: '60s' };
    const routes = [grpcRoute({ idle_timeout: '0.1s' })];
    await withProxy(setupOf(upstream, { manager, routes }), async (proxy) => {
      {
        using caller = new GrpcCaller(proxy.port);
        const { call, outcome } = caller.bidi();
        call.write(Buffer.from('x'));
        // An unfinished request: 408, which has no status of its own.
        const { code, details } = await outcome;
        expect([code, details]).toEqual([2, 'stream timeout']);
      }
      await eventually(() => upstream.cancelled === 1);
      expect((await proxy.log())[0]).toMatchObject({ flags: 'SI', details: 'stream_idle_timeout' });
    });
  });
});

describe('who closes first', () => {
  test('the client; the server goes on', async () => {
    const upstream = await GrpcPeer.start({
      bidi(call) {
        call.on('data', () => {});
        call.on('end', () => {
          for (const word of ['still', 'talking']) call.write(Buffer.from(word));
          setImmediate(() => call.end());
        });
      },
    });
    await withProxy(setupOf(upstream), async (proxy) => {
      using caller = new GrpcCaller(proxy.port);
      for (const count of [0, 1, 3]) {
        const { call, outcome } = caller.bidi();
        for (let i = 0; i < count; i++) call.write(Buffer.from('x'));
        call.end();
        const { code, messages } = await outcome;
        expect([code, messages.map(String)]).toEqual([0, ['still', 'talking']]);
      }
    });
  });

  test('the server, while the client has not', async () => {
    const upstream = await GrpcPeer.start({
      bidi(call) {
        call.once('data', () => {
          call.write(Buffer.from('enough'));
          call.end(metadata({ 'x-after': 'trailing' }));
        });
      },
    });
    await withProxy(setupOf(upstream), async (proxy) => {
      using caller = new GrpcCaller(proxy.port);
      for (let i = 0; i < 3; i++) {
        const { call, outcome } = caller.bidi();
        call.write(Buffer.from('x'));
        const { code, messages, trailers } = await outcome;
        expect([code, messages.map(String), trailers.get('x-after')]).toEqual([0, ['enough'], ['trailing']]);
      }
      // The connection is as good as before.
      expect((await caller.unary('x')).code).toBe(0);
      expect(proxy.stat('http.test.downstream_cx_total')).toBe(1);
    });
  });

  test('the server with an error, in the middle of an upload', async () => {
    const upstream = await GrpcPeer.start({
      clientStream(call, done) {
        call.once('data', () => done({ code: 8, details: 'too much' }));
      },
    });
    await withProxy(setupOf(upstream), async (proxy) => {
      using caller = new GrpcCaller(proxy.port);
      const { call, outcome } = caller.clientStream();
      for (let i = 0; i < 64; i++) call.write(Buffer.alloc(64 * KIB));
      const { code, details } = await outcome;
      expect([code, details]).toEqual([8, 'too much']);
      await eventually(() => proxy.stat('cluster.upstream.upstream_rq_active') === 0);
      expect((await caller.unary('x')).code).toBe(0);
    });
  });

  test('both in turn, message by message', async () => {
    const upstream = await GrpcPeer.start();
    await withProxy(setupOf(upstream), async (proxy) => {
      using caller = new GrpcCaller(proxy.port);
      const { call, outcome } = caller.bidi();
      let turns = 0;
      call.on('data', () => {
        if (++turns < 20) call.write(Buffer.from(`${turns}`));
        else call.end();
      });
      call.write(Buffer.from('0'));
      const { code, messages } = await outcome;
      expect([code, messages.length]).toEqual([0, 20]);
    });
  });

  test('headers come before any message of either side', async () => {
    const upstream = await GrpcPeer.start({
      bidi(call) {
        call.sendMetadata(metadata({ 'x-before': 'leading' }));
        call.on('data', () => {});
        call.on('end', () => call.end());
      },
    });
    await withProxy(setupOf(upstream), async (proxy) => {
      using caller = new GrpcCaller(proxy.port);
      const { call, outcome } = caller.bidi();
      const headers = await new Promise<{ get(name: string): unknown }>((resolve) =>
        call.on('metadata', resolve),
      );
      expect(headers.get('x-before')).toEqual(['leading']);
      call.end();
      expect((await outcome).code).toBe(0);
    });
  });

  // As servers on gRPC's C core do when they end a call first (RFC 9113, section 8.1).
  test.each([
    ['at once', false],
    ['a little later', true],
  ])('the server, which then resets with NO_ERROR, %s: its answer counts', async (_, later) => {
    const upstream = await RawUpstream.start(async (connection) => {
      const reader = new FrameReader();
      await connection.read(HTTP2_PREFACE.length);
      await connection.write(frames.settings());
      for (let bytes = await connection.readSome(); bytes.length > 0; bytes = await connection.readSome()) {
        for (const { type, streamId, flags } of reader.push(bytes)) {
          if (type === FrameType.settings && flags === 0) await connection.write(frames.settingsAck());
          if (type !== FrameType.data) continue;
          const answer = [
            frames.headers(
              streamId,
              hpack.block([
                [':status', '200'],
                ['content-type', 'application/grpc'],
              ]),
            ),
            frames.data(streamId, frame('early')),
            frames.headers(streamId, hpack.block([['grpc-status', '0']]), { endStream: true }),
          ];
          const rst = frames.rstStream(streamId, Http2Code.noError);
          await connection.write(Buffer.concat(later ? answer : [...answer, rst]));
          if (later) await connection.write(rst);
        }
      }
    });
    await withProxy(setupOf(upstream), async (proxy) => {
      using caller = new GrpcCaller(proxy.port);
      for (let i = 0; i < 3; i++) {
        const { call, outcome } = caller.bidi();
        call.write(Buffer.from('x'));
        const { code, messages } = await outcome;
        expect([code, messages.map(String)]).toEqual([0, ['early']]);
      }
      await eventually(() => proxy.stat('cluster.upstream.upstream_rq_active') === 0);
      expect(upstream.connections).toHaveLength(1);
    });
  });
});
