import {
  AggregatedDiscoveryService,
  create,
  DiscoveryRequestSchema,
  type DiscoveryResponse,
  DiscoveryResponseSchema,
  toBinary,
} from '@dragoman/api';
import type {
  GrpcCallStatus,
  GrpcReconnectCallbacks,
  GrpcReconnectOptions,
  GrpcStream,
} from '@dragoman/core';
import { ScriptedRandom } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { Rig } from './support/rig.ts';

const { streamAggregatedResources } = AggregatedDiscoveryService.method;
const request = create(DiscoveryRequestSchema, { versionInfo: '1' });
const answer = toBinary(DiscoveryResponseSchema, create(DiscoveryResponseSchema, { versionInfo: 'a' }));

class Recorder
  implements GrpcReconnectCallbacks<typeof DiscoveryRequestSchema, typeof DiscoveryResponseSchema>
{
  readonly events: string[] = [];
  statuses: GrpcCallStatus[] = [];
  current: GrpcStream<typeof DiscoveryRequestSchema> | undefined = undefined;
  afterOpen: ((stream: GrpcStream<typeof DiscoveryRequestSchema>) => void) | undefined = undefined;

  onOpen(stream: GrpcStream<typeof DiscoveryRequestSchema>): void {
    this.events.push('open');
    this.current = stream;
    stream.send(request);
    this.afterOpen?.(stream);
  }

  onHeaders(): void {
    this.events.push('headers');
  }

  onMessage({ versionInfo }: DiscoveryResponse): void {
    this.events.push(`message ${versionInfo}`);
  }

  onWritable(): void {
    this.events.push('writable');
  }

  onEnd(status: GrpcCallStatus, retryInMs: number): void {
    this.statuses.push(status);
    this.events.push(`end ${status.code}, again in ${retryInMs}`);
  }
}

/** A stream whose delays are the longest that can be drawn of these intervals. */
function open(intervals: number[], config: object = {}, options?: GrpcReconnectOptions) {
  const random = new ScriptedRandom(intervals.map((ms) => ms - 1));
  const rig = new Rig(config, { context: { random: random as never } });
  const recorder = new Recorder();
  const stream = rig.client.reconnectingStream(streamAggregatedResources, options, recorder);
  return { rig, recorder, stream };
}

describe('a reconnecting stream', () => {
  it('is opened again, later each time', () => {
    const intervals = [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000];
    const { rig, recorder, stream } = open(intervals);
    for (const [i, ms] of intervals.entries()) {
      expect(stream.stream).toBe(recorder.current);
      expect(rig.upstream.messages).toHaveLength(1);
      rig.upstream.lose();
      expect(stream.stream).toBeUndefined();
      expect(recorder.events.at(-1)).toBe(`end 14, again in ${ms - 1}`);
      rig.context.clock.advance(ms - 2);
      expect(rig.pool.streams).toHaveLength(i + 1);
      rig.context.clock.advance(1);
      expect(rig.pool.streams).toHaveLength(i + 2);
    }
  });

  it('begins anew with its delays after a message', () => {
    const { rig, recorder } = open([500, 1000, 500]);
    rig.upstream.lose();
    rig.context.clock.advance(500);
    rig.upstream.respond();
    rig.upstream.end(0);
    rig.context.clock.advance(1000);
    rig.upstream.respond();
    rig.upstream.message(answer);
    rig.upstream.lose();
    expect(recorder.events).toEqual([
      'open',
      'end 14, again in 499',
      'open',
      'headers',
      'end 0, again in 999',
      'open',
      'headers',
      'message a',
      'end 13, again in 499',
    ]);
  });

  it.each([
    [{ base_interval: '0.1s' }, undefined, [100, 200, 400, 800, 1000, 1000]],
    [{ base_interval: '0.1s', max_interval: '0.15s' }, undefined, [100, 150, 150]],
    [{ base_interval: '0.1s' }, { backOff: { baseMs: 7, maxMs: 20 } }, [7, 14, 20, 20]],
  ])('has its delays of %j and %j', (retryBackOff, options, intervals) => {
    const { rig, recorder } = open(
      intervals,
      { envoy_grpc: { cluster_name: 'authz', retry_policy: { retry_back_off: retryBackOff } } },
      options,
    );
    for (const ms of intervals) {
      rig.upstream.lose();
      expect(recorder.events.at(-1)).toBe(`end 14, again in ${ms - 1}`);
      rig.context.clock.advance(ms);
    }
  });

  it('is open before anything can come of it', () => {
    const random = new ScriptedRandom([0, 0]);
    const rig = new Rig({}, { context: { random: random as never } });
    rig.pool.onRequestHeaders = (upstream) => {
      upstream.respond();
      upstream.message(answer);
      upstream.end(0);
    };
    const recorder = new Recorder();
    rig.client.reconnectingStream(streamAggregatedResources, undefined, recorder);
    expect(recorder.events).toEqual(['open', 'headers', 'message a', 'end 0, again in 0']);
  });

  it('tries again while there is no cluster', () => {
    const { rig, recorder } = (() => {
      const random = new ScriptedRandom([5, 5]);
      const waiting = new Rig({}, { context: { random: random as never } });
      waiting.clusters.byName.clear();
      const own = new Recorder();
      waiting.client.reconnectingStream(streamAggregatedResources, undefined, own);
      return { rig: waiting, recorder: own };
    })();
    expect(recorder.events).toEqual(['open', 'end 14, again in 5']);
    rig.clusters.byName.set('authz', rig.cluster);
    rig.context.clock.advance(5);
    expect(rig.upstream.messages).toHaveLength(1);
  });

  it('tells when there is room', () => {
    const { rig, recorder } = open([]);
    rig.upstream.full = true;
    recorder.current?.send(request);
    rig.upstream.drain();
    expect(recorder.events).toEqual(['open', 'writable']);
  });

  it('ends for good when it is closed', () => {
    const { rig, recorder, stream } = open([500]);
    stream.close();
    expect(rig.upstream.resetReason).toBe('local-reset');
    stream.close();
    rig.context.clock.advance(60_000);
    expect(recorder.events).toEqual(['open']);
    expect(rig.pool.streams).toHaveLength(1);
    expect(rig.context.clock.pendingTimers).toBe(0);
    expect(stream.stream).toBeUndefined();
  });

  it('may be closed while it waits, and by its callbacks', () => {
    const waiting = open([500]);
    waiting.rig.upstream.lose();
    waiting.stream.close();
    waiting.rig.context.clock.advance(60_000);
    expect(waiting.rig.pool.streams).toHaveLength(1);

    const random = new ScriptedRandom([0]);
    const rig = new Rig({}, { context: { random: random as never } });
    const recorder = new Recorder();
    const { onEnd } = recorder;
    recorder.onEnd = (...end) => {
      onEnd.apply(recorder, end);
      stream.close();
    };
    const stream = rig.client.reconnectingStream(streamAggregatedResources, undefined, recorder);
    rig.upstream.lose();
    rig.context.clock.advance(60_000);
    expect(rig.pool.streams).toHaveLength(1);
    expect(rig.context.clock.pendingTimers).toBe(0);
  });

  it('is opened again when its user gives up the stream of the moment', () => {
    const { rig, recorder } = open([500]);
    recorder.current?.cancel();
    expect(rig.upstream.resetReason).toBe('local-reset');
    rig.context.clock.advance(500);
    expect(recorder.events).toEqual(['open', 'open']);
    expect(rig.pool.streams).toHaveLength(2);
  });

  it('is opened again when its user gives it up at once, or throws', () => {
    for (const afterOpen of [
      (stream: GrpcStream<typeof DiscoveryRequestSchema>) => stream.cancel(),
      () => {
        throw new Error('oops');
      },
    ]) {
      const random = new ScriptedRandom([7]);
      const rig = new Rig({}, { context: { random: random as never } });
      const recorder = new Recorder();
      recorder.afterOpen = afterOpen;
      rig.client.reconnectingStream(streamAggregatedResources, undefined, recorder);
      expect(rig.pool.streams).toEqual([]);
      recorder.afterOpen = undefined;
      rig.context.clock.advance(7);
      expect(rig.pool.streams).toHaveLength(1);
      expect(recorder.events).toEqual(['open', 'open']);
    }
  });

  it('survives callbacks that throw', () => {
    const { rig, recorder } = open([500, 1000]);
    recorder.onMessage = () => {
      throw new Error('oops');
    };
    rig.upstream.respond();
    rig.upstream.message(answer);
    expect(recorder.statuses[0]).toMatchObject({ code: 13, details: 'grpc_callback_error' });
    recorder.onEnd = () => {
      throw new Error('oops');
    };
    rig.context.clock.advance(500);
    rig.upstream.lose();
    rig.context.clock.advance(1000);
    expect(rig.pool.streams).toHaveLength(3);
    expect(rig.context.loggers.lines).toHaveLength(2);
  });
});
