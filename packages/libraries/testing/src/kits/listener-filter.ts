import assert from 'node:assert/strict';
import {
  type ConnectionInfo,
  type ListenerFilter,
  type ListenerFilterExtension,
  StreamInfo,
} from '@dragoman/core';
import { connectionInfo } from '../memory-connection.ts';
import { SeededRandom } from '../random.ts';
import { type TestContext, testContext } from '../test-context.ts';
import { type ConformanceRunner, checkIdentity, type InvalidConfig, refusals } from './runner.ts';

/** First bytes of a connection, and what the filter has to decide on them. */
export interface ListenerFilterSample {
  readonly name: string;
  readonly bytes: Buffer;
  readonly verdict: 'continue' | 'close';
  /** What it must have learnt. */
  readonly info?: Partial<ConnectionInfo>;
  /** Bytes it must take away from the front. Default 0. */
  readonly consumed?: number;
}

/** What {@link listenerFilterConformance} is told of the filter. */
export interface ListenerFilterSubject {
  readonly extension: ListenerFilterExtension;
  /** A typed config that is valid. */
  readonly config: unknown;
  readonly invalid?: readonly InvalidConfig[];
  readonly context?: () => TestContext;
  readonly samples?: readonly ListenerFilterSample[];
}

interface Outcome {
  readonly verdict: 'continue' | 'wait' | 'close';
  readonly consumed: number;
  readonly info: ConnectionInfo;
  readonly streamInfo: StreamInfo;
}

/** Gives a filter the bytes in steps of `step`, as they might arrive, until it decides or has seen all it wants. */
export function peekThrough(filter: ListenerFilter, bytes: Buffer, step: number): Outcome {
  const info = connectionInfo({ transportProtocol: '' });
  const streamInfo = new StreamInfo(info, 0, 0);
  assert.ok(
    Number.isInteger(filter.maxReadBytes) && filter.maxReadBytes >= 0,
    'maxReadBytes is a whole number of 0 or more',
  );
  let seen = 0;
  let verdict = filter.onAccept({ info, streamInfo, descriptor: -1, peeked: Buffer.alloc(0) });
  while (verdict === 'wait' && seen < Math.min(bytes.length, filter.maxReadBytes)) {
    assert.notEqual(filter.onData, undefined, 'a filter that waits has onData');
    seen = Math.min(seen + step, bytes.length, filter.maxReadBytes);
    verdict =
      filter.onData?.({ info, streamInfo, descriptor: -1, peeked: bytes.subarray(0, seen) }) ?? 'continue';
  }
  assert.ok(verdict === 'continue' || verdict === 'wait' || verdict === 'close');
  if (seen >= filter.maxReadBytes)
    assert.notEqual(verdict, 'wait', 'with all the bytes it wants a filter has to decide');
  const consumed = filter.consumed ?? 0;
  assert.ok(consumed >= 0 && consumed <= seen, 'only what was seen can be taken away');
  return { verdict, consumed, info, streamInfo };
}

/**
 * Registers the tests that every listener filter has to pass: identity, configs, its samples whole and byte by byte, a decision once all the bytes
 * it wants are there, odd input, independence of sockets.
 */
export function listenerFilterConformance(runner: ConformanceRunner, subject: ListenerFilterSubject): void {
  const { describe, it } = runner;
  const { extension } = subject;
  const newContext = subject.context ?? testContext;
  const factory = (): (() => ListenerFilter) => extension.create(subject.config as never, newContext());

  describe(`${extension.name} keeps the contract of listener filters`, () => {
    it('is a listener filter', () => checkIdentity(extension, 'listener-filters'));

    refusals(runner, subject.invalid, (config) => extension.create(config, newContext()));

    for (const { name, bytes, verdict, info, consumed } of subject.samples ?? []) {
      for (const step of [1, 3, bytes.length]) {
        it(`decides on ${name}, ${step} bytes at a time`, () => {
          const outcome = peekThrough(factory()(), bytes, Math.max(1, step));
          assert.equal(outcome.verdict, verdict);
          if (verdict === 'continue') assert.equal(outcome.consumed, consumed ?? 0);
          for (const [key, value] of Object.entries(info ?? {})) {
            assert.deepEqual(outcome.info[key as keyof ConnectionInfo], value, key);
          }
        });
      }
    }

    it('decides on any bytes, and alike however they arrive', () => {
      const random = new SeededRandom(13);
      const create = factory();
      for (let i = 0; i < 300; i++) {
        const bytes = oddBytes(random, subject.samples ?? []);
        const whole = peekThrough(create(), bytes, bytes.length);
        const single = peekThrough(create(), bytes, 1);
        // A refusal may come sooner than with everything at once, never a different decision.
        assert.equal(single.verdict, whole.verdict);
        if (whole.verdict === 'continue') assert.equal(single.consumed, whole.consumed);
      }
    });

    it('keeps sockets apart', () => {
      const create = factory();
      for (const { bytes, verdict } of subject.samples ?? []) {
        const other = create();
        const info = connectionInfo({ transportProtocol: '' });
        const streamInfo = new StreamInfo(info, 0, 0);
        const socket = { info, streamInfo, descriptor: -1 };
        other.onAccept({ ...socket, peeked: Buffer.alloc(0) });
        other.onData?.({ ...socket, peeked: Buffer.from([0xff]) });
        assert.equal(peekThrough(create(), bytes, bytes.length).verdict, verdict);
      }
    });
  });
}

/** Random bytes, or a sample with some of its bytes changed or missing. */
function oddBytes(random: SeededRandom, samples: readonly ListenerFilterSample[]): Buffer {
  if (samples.length === 0 || random.random() < 0.3) {
    return Buffer.from(Array.from({ length: 1 + (random.next() % 64) }, () => random.next() % 256));
  }
  const bytes = Buffer.from(samples[random.next() % samples.length].bytes);
  const cut = bytes.subarray(0, 1 + (random.next() % bytes.length));
  for (let i = random.next() % 4; i > 0; i--) cut[random.next() % cut.length] = random.next() % 256;
  return cut;
}
