import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import {
  AggregatedDiscoveryService,
  Authorization,
  CheckRequestSchema,
  CheckResponseSchema,
  create,
  DiscoveryRequestSchema,
  type DiscoveryResponseSchema,
  toBinary,
} from '@dragoman/api';
import type { GrpcCall, GrpcStreamCallbacks, GrpcUnaryCallbacks } from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import type { MemoryStream } from './support/memory-pool.ts';
import { Rig } from './support/rig.ts';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

const { check } = Authorization.method;
const { streamAggregatedResources } = AggregatedDiscoveryService.method;
const OK = toBinary(CheckResponseSchema, create(CheckResponseSchema));

/** What must be free once a call is over, although its pool still holds the stream, and its user the call. */
interface Watched {
  readonly call: GrpcCall;
  readonly upstream: MemoryStream | undefined;
  readonly callbacks: WeakRef<object>;
  readonly options: WeakRef<object>;
}

function optionsOf(): { timeoutMs: number; prepareHeaders(): void } {
  const mark = {};
  return { timeoutMs: 1000, prepareHeaders: () => void mark };
}

function unary(rig: Rig, play: (rig: Rig, call: GrpcCall) => void): Watched {
  const callbacks: GrpcUnaryCallbacks<typeof CheckResponseSchema> = { onSuccess() {}, onFailure() {} };
  const options = optionsOf();
  const call = rig.client.unary(check, create(CheckRequestSchema), options, callbacks);
  play(rig, call);
  return {
    call,
    upstream: rig.pool.streams.at(-1),
    callbacks: new WeakRef(callbacks),
    options: new WeakRef(options),
  };
}

function streaming(rig: Rig, play: (rig: Rig, call: GrpcCall) => void): Watched {
  const callbacks: GrpcStreamCallbacks<typeof DiscoveryResponseSchema> = { onMessage() {}, onEnd() {} };
  const options = optionsOf();
  const call = rig.client.stream(streamAggregatedResources, options, callbacks);
  call.send(create(DiscoveryRequestSchema));
  play(rig, call);
  return {
    call,
    upstream: rig.pool.streams.at(-1),
    callbacks: new WeakRef(callbacks),
    options: new WeakRef(options),
  };
}

async function free(watched: Watched): Promise<void> {
  // A WeakRef holds its target until the job that made it is over.
  await new Promise((resolve) => setImmediate(resolve));
  gc();
  expect(watched.callbacks.deref()).toBeUndefined();
  expect(watched.options.deref()).toBeUndefined();
  expect(watched.call.bytesReceived).toBeGreaterThanOrEqual(0);
}

const ends: [string, (rig: Rig, call: GrpcCall) => void][] = [
  ['an answer', ({ upstream }) => upstream.answer(OK)],
  ['a status', ({ upstream }) => upstream.respond({ 'grpc-status': '7' }, 200, true)],
  ['a reset', ({ upstream }) => upstream.lose()],
  [
    'a bad message',
    ({ upstream }) => {
      upstream.respond();
      upstream.bytes(Buffer.from([0x80]));
    },
  ],
  ['its time', ({ context }) => context.clock.advance(1000)],
  ['cancel', (_, call) => call.cancel()],
];

describe('nothing is referenced after', () => {
  it.each(ends)('%s of a unary call', async (_, play) => {
    const rig = new Rig({ retry_policy: { retry_on: 'unavailable' } });
    const watched = unary(rig, play);
    await free(watched);
    expect(rig.context.clock.pendingTimers).toBe(0);
  });

  it.each(ends)('%s of a stream', async (_, play) => {
    const rig = new Rig({ retry_policy: { retry_on: 'unavailable' } });
    const watched = streaming(rig, play);
    await free(watched);
    expect(rig.context.clock.pendingTimers).toBe(0);
  });

  it('a call that had no cluster, or was cancelled in the queue', async () => {
    const rig = new Rig();
    rig.pool.ready = false;
    await free(unary(rig, (_, call) => call.cancel()));
    rig.clusters.byName.clear();
    await free(unary(rig, () => {}));
  });

  it('and the call itself is free when its user lets go of it', async () => {
    const rig = new Rig({ timeout: '1s', retry_policy: { retry_on: 'unavailable' } });
    // In a function of its own, so that no variable here holds the last one.
    const calls = ((): WeakRef<object>[] => ends.map(([, play]) => new WeakRef(unary(rig, play).call)))();
    // The cluster of these tests remembers what it was asked by.
    rig.cluster.choices.length = 0;
    await new Promise((resolve) => setImmediate(resolve));
    gc();
    expect(rig.pool.streams).toHaveLength(ends.length);
    expect(calls.filter((call) => call.deref() !== undefined)).toHaveLength(0);
  });
});
