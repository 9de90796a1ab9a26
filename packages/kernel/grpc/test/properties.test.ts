import { gzipSync } from 'node:zlib';
import {
  AggregatedDiscoveryService,
  create,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
  fromBinary,
  toBinary,
} from '@dragoman/api';
import type { StreamResetReason } from '@dragoman/core';
import { encodeGrpcFrame } from '@dragoman/grpc-frames';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Rig, StreamRecorder } from './support/rig.ts';

const { streamAggregatedResources } = AggregatedDiscoveryService.method;

interface Sent {
  readonly text: string;
  readonly packed: boolean;
}

const sent: fc.Arbitrary<Sent[]> = fc.array(
  fc.record({ text: fc.string({ maxLength: 300 }), packed: fc.boolean() }),
  { maxLength: 8 },
);

function frameOf({ text, packed }: Sent): Buffer {
  const message = toBinary(DiscoveryResponseSchema, create(DiscoveryResponseSchema, { versionInfo: text }));
  return packed && message.length > 0 ? encodeGrpcFrame(gzipSync(message), 1) : encodeGrpcFrame(message);
}

function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  let at = 0;
  for (let i = 0; at < bytes.length; i++) {
    const size = sizes.length === 0 ? bytes.length : sizes[i % sizes.length];
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  return pieces;
}

function open(config: object = {}) {
  const rig = new Rig(config);
  const recorder = new StreamRecorder<typeof DiscoveryResponseSchema>();
  const stream = rig.client.stream(streamAggregatedResources, undefined, recorder);
  return { rig, recorder, stream };
}

describe('whatever the pieces', () => {
  it('the messages are the same, however often the reader pauses', () => {
    fc.assert(
      fc.property(
        sent,
        fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 6 }),
        fc.array(fc.nat({ max: 7 }), { maxLength: 5 }),
        (messages, sizes, pauses) => {
          const { rig, recorder, stream } = open();
          const pauseAt = new Set(pauses);
          const { onMessage } = recorder;
          recorder.onMessage = (message) => {
            if (pauseAt.has(recorder.messages.length)) stream.pause();
            onMessage.call(recorder, message);
          };
          rig.upstream.respond({ 'grpc-encoding': 'gzip' });
          for (const piece of cut(Buffer.concat(messages.map(frameOf)), sizes)) {
            rig.upstream.bytes(piece);
            stream.resume();
          }
          rig.upstream.end();
          for (let i = 0; i <= messages.length; i++) stream.resume();
          expect(recorder.messages.map(({ versionInfo }) => versionInfo)).toEqual(
            messages.map(({ text }) => text),
          );
          expect(recorder.events.at(-1)).toBe('end 0');
        },
      ),
    );
  });

  it('bytes that are none of gRPC end the stream, or are waited for, and never throw', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 4 }),
        fc.option(fc.integer({ min: 0, max: 16 }), { nil: undefined }),
        (bytes, sizes, status) => {
          const { rig, recorder } = open({
            envoy_grpc: { cluster_name: 'authz', max_receive_message_length: 50 },
          });
          rig.upstream.respond({ 'grpc-encoding': 'gzip' });
          for (const piece of cut(Buffer.from(bytes), sizes)) rig.upstream.bytes(piece);
          if (status !== undefined) rig.upstream.end(status);
          expect(recorder.ends.length).toBeLessThanOrEqual(1);
          if (status !== undefined) expect(recorder.ends).toHaveLength(1);
        },
      ),
    );
  });
});

/** Everything that user, pool and upstream can do, in any order. */
type Step =
  | {
      readonly do:
        | 'connect'
        | 'closeSend'
        | 'pause'
        | 'resume'
        | 'cancel'
        | 'drain'
        | 'fill'
        | 'respond'
        | 'end';
    }
  | { readonly do: 'send' | 'message'; readonly text: string }
  | { readonly do: 'lose'; readonly reason: StreamResetReason }
  | { readonly do: 'wait'; readonly ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom('connect', 'closeSend', 'pause', 'resume', 'drain', 'fill', 'respond', 'end'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cancel') }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('send', 'message'), text: fc.string() }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('lose'),
      reason: fc.constantFrom<StreamResetReason>('remote-reset', 'max-requests', 'connection-termination'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait'), ms: fc.constantFrom(0, 10, 400, 2000) }) },
) as fc.Arbitrary<Step>;

describe('in any order of events', () => {
  it('a stream keeps its promises', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), fc.boolean(), (steps, keepForRetry) => {
        const rig = new Rig({
          retry_policy: { retry_on: 'reset,connect-failure', num_retries: 3 },
        });
        rig.pool.ready = false;
        const recorder = new StreamRecorder<typeof DiscoveryResponseSchema>();
        const stream = rig.client.stream(
          streamAggregatedResources,
          { keepForRetry, timeoutMs: 3000, bufferLimitBytes: 60 },
          recorder,
        );
        const phases = new Map<object, { answered: boolean; over: boolean }>();
        const accepted: string[] = [];
        let cancelled = false;
        for (const one of steps) {
          const { upstream } = rig;
          const phase = phases.get(upstream) ?? { answered: false, over: false };
          phases.set(upstream, phase);
          const alive =
            upstream.settled && !phase.over && upstream.resetReason === undefined && !upstream.cancelled;
          switch (one.do) {
            case 'connect':
              if (!upstream.settled && !upstream.cancelled) upstream.connect();
              break;
            case 'send': {
              const before = recorder.ends.length;
              const wasOver = cancelled || before > 0;
              const answer = stream.send(create(DiscoveryRequestSchema, { versionInfo: one.text }));
              if (wasOver) expect(answer).toBe(false);
              else if (recorder.ends.length === 0) accepted.push(one.text);
              break;
            }
            case 'closeSend':
              stream.closeSend();
              break;
            case 'pause':
              stream.pause();
              break;
            case 'resume':
              stream.resume();
              break;
            case 'cancel':
              stream.cancel();
              if (recorder.ends.length === 0) cancelled = true;
              break;
            case 'fill':
              upstream.full = true;
              break;
            case 'drain':
              upstream.drain();
              break;
            case 'respond':
              if (alive && !phase.answered) {
                phase.answered = true;
                upstream.respond();
              }
              break;
            case 'message':
              if (alive && phase.answered && !upstream.paused)
                upstream.message(
                  toBinary(
                    DiscoveryResponseSchema,
                    create(DiscoveryResponseSchema, { versionInfo: one.text }),
                  ),
                );
              break;
            case 'end':
              if (alive && phase.answered) {
                phase.over = true;
                upstream.end();
              }
              break;
            case 'lose':
              if (!upstream.settled && !upstream.cancelled) upstream.fail('remote-connection-failure');
              else if (alive) {
                phase.over = true;
                upstream.lose(one.reason);
              }
              break;
            default:
              rig.context.clock.advance(one.ms);
          }
          if (cancelled) expect(recorder.ends).toEqual([]);
          expect(recorder.ends.length).toBeLessThanOrEqual(1);
          // Each upstream has seen a beginning of what was accepted, in order.
          const seen = upstream.messages.map(
            (message) => fromBinary(DiscoveryRequestSchema, message).versionInfo,
          );
          if (recorder.ends.length === 0) expect(accepted.slice(0, seen.length)).toEqual(seen);
        }
        // Whatever was, after its time it is over, and nothing is left.
        stream.resume();
        rig.context.clock.advance(10_000);
        if (recorder.ends.length === 0) stream.cancel();
        expect(rig.context.clock.pendingTimers).toBe(0);
        expect(rig.cluster.info.retries.used).toBe(0);
        expect(stream.bufferedBytes).toBe(0);
        expect(recorder.events.filter((event) => event.startsWith('end'))).toHaveLength(recorder.ends.length);
      }),
      { numRuns: 600 },
    );
  });
});
