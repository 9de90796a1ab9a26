import assert from 'node:assert/strict';
import {
  type ConnectionCloseKind,
  type CreateNetworkFilter,
  type NetworkFilter,
  type NetworkFilterExtension,
  StreamInfo,
} from '@dragoman/core';
import {
  type ConnectionPair,
  type ConnectionPairOptions,
  connectionPair,
  type MemoryConnection,
} from '../memory-connection.ts';
import { SeededRandom } from '../random.ts';
import { type TestContext, testContext } from '../test-context.ts';
import {
  type ConformanceRunner,
  checkIdentity,
  type InvalidConfig,
  LONG_MS,
  refusals,
  settled,
} from './runner.ts';

/** What {@link networkFilterConformance} is told of the filter. */
export interface NetworkFilterSubject {
  readonly extension: NetworkFilterExtension;
  /** A typed config that is valid. */
  readonly config: unknown;
  readonly invalid?: readonly InvalidConfig[];
  /** The context for the factory; made anew for each test. Default: {@link testContext}. */
  readonly context?: () => TestContext;
  /** What a client may send. Default: some text. */
  readonly input?: Buffer;
  /** What the filter has connected to so far, for filters that do: driven together with the connection they are on. */
  readonly alongside?: readonly ConnectionPair[];
}

/** A filter on the server's side of a connection in memory. */
export interface FilteredPair extends ConnectionPair {
  readonly filter: NetworkFilter;
  readonly info: StreamInfo;
  /** Everything the client got. */
  received(): Buffer;
  /** How the client's side ended: absent while it is open. */
  readonly clientClosed: () => ConnectionCloseKind | undefined;
  /** `end`, `close`: what the filter was told, in order. */
  readonly events: readonly string[];
}

/** How a {@link filteredPair} behaves. */
export interface FilteredPairOptions extends ConnectionPairOptions {
  /** Gives the filter chunks that stay as they are; default false: they are borrowed, and overwritten after their time. */
  readonly ownChunks?: boolean;
}

/** Puts one filter on the accepted side, as a listener would: verdicts `'pause'` hold what arrives until `resume`. */
export function filteredPair(create: CreateNetworkFilter, options: FilteredPairOptions = {}): FilteredPair {
  const pair = connectionPair(options);
  const { server, client } = pair;
  const info = new StreamInfo(server.info, 0, 0);
  const events: string[] = [];
  const chunks: Buffer[] = [];
  let closed: ConnectionCloseKind | undefined;
  const filter = create({ connection: server, info, sole: true, resume: () => {} });
  server.setHandler({
    onData: (data) => checkVerdict(filter.onData?.(options.ownChunks === true ? Buffer.from(data) : data)),
    onEnd: () => {
      events.push('end');
      filter.onEnd?.();
    },
    onWritable: () => filter.onWritable?.(),
    onClose: (kind, reason) => {
      events.push('close');
      filter.onClose?.(kind, reason);
    },
  });
  client.setHandler({
    onData: (data) => chunks.push(Buffer.from(data)),
    onEnd: () => {},
    onWritable: () => {},
    onClose: (kind) => {
      closed = kind;
    },
  });
  checkVerdict(filter.onNewConnection?.());
  return { ...pair, filter, info, events, received: () => Buffer.concat(chunks), clientClosed: () => closed };
}

function checkVerdict(verdict: unknown): void {
  assert.ok(
    verdict === undefined || verdict === 'pause' || Buffer.isBuffer(verdict),
    'a verdict is nothing, pause or a Buffer',
  );
}

/**
 * Registers the tests that every network filter has to pass: identity, configs, the same answer however the bytes are cut, memory bounded
 * by the watermark, silence after the end, odd input, independence of connections.
 */
export function networkFilterConformance(runner: ConformanceRunner, subject: NetworkFilterSubject): void {
  const { describe, it } = runner;
  const { extension } = subject;
  const newContext = subject.context ?? testContext;
  const factory = (context = newContext()): CreateNetworkFilter =>
    extension.create(subject.config as never, context);
  const input = subject.input ?? Buffer.from('The quick brown fox jumps over the lazy dog.\r\n'.repeat(20));

  const filtered = (create: CreateNetworkFilter, options?: FilteredPairOptions): FilteredPair =>
    filteredPair(create, { alongside: subject.alongside, ...options });
  const exchange = (create: CreateNetworkFilter, options: FilteredPairOptions): FilteredPair => {
    const pair = filtered(create, options);
    pair.client.writeBody(input, false);
    pair.run();
    pair.client.end();
    pair.run();
    return pair;
  };

  describe(`${extension.name} keeps the contract of network filters`, () => {
    it('is a network filter', () => {
      checkIdentity(extension, 'network-filters');
      assert.equal(typeof extension.terminal, 'boolean');
    });

    refusals(runner, subject.invalid, (config) => extension.create(config, newContext()));

    for (const holdable of [true, false]) {
      it(`answers alike however bytes are cut (${holdable ? 'chunks that can be held' : 'borrowed chunks'})`, () => {
        const whole = exchange(factory(), { holdable }).received();
        for (const chunkBytes of [1, 7, 64]) {
          assert.deepEqual(exchange(factory(), { holdable, chunkBytes }).received(), whole);
        }
      });
    }

    it('uses borrowed chunks in their time only', () => {
      const own = exchange(factory(), { ownChunks: true, holdable: false }).received();
      assert.deepEqual(exchange(factory(), { holdable: false }).received(), own);
    });

    it('stops reading while the peer does not take what it writes', () => {
      const highWatermarkBytes = 16;
      const chunkBytes = 8;
      const pair = filtered(factory(), { highWatermarkBytes, chunkBytes, holdable: false });
      // The watermark is the filter's to heed: its own bytes may pass it by what one call wrote.
      const written = watchBuffer(pair.server);
      pair.client.pauseReading();
      pair.client.writeBody(input, false);
      pair.run();
      const own = Math.max(...written.sizes, 0);
      assert.ok(
        pair.server.bufferedBytes <= highWatermarkBytes + Math.max(own, chunkBytes),
        `${pair.server.bufferedBytes} bytes are held`,
      );
      pair.client.resumeReading();
      pair.client.end();
      pair.run();
      assert.deepEqual(pair.received(), exchange(factory(), {}).received(), 'nothing is lost by waiting');
    });

    for (const end of ['end', 'flush', 'now', 'reset'] as const) {
      it(`lets go when the peer ends by ${end}`, async () => {
        const context = newContext();
        const pair = filtered(factory(context), { clock: context.clock });
        pair.client.writeBody(input, false);
        pair.run();
        if (end === 'end') pair.client.end();
        else pair.client.close(end);
        pair.run();
        pair.server.close('now');
        pair.run();
        assert.equal(pair.events.filter((name) => name === 'close').length, 1);
        assert.equal(pair.events.at(-1), 'close');
        const { bytesWritten } = pair.server;
        await settled();
        context.clock.advance(LONG_MS);
        await settled();
        assert.equal(
          pair.server.bytesWritten,
          bytesWritten,
          'nothing is written to a connection that is over',
        );
        assert.equal(context.clock.pendingTimers, 0, 'no timer outlives the connection');
      });
    }

    it('throws on no odd input', () => {
      const random = new SeededRandom(11);
      const create = factory();
      for (let i = 0; i < 200; i++) {
        const pair = filtered(create, { chunkBytes: 1 + (random.next() % 9) });
        const bytes = Buffer.from(Array.from({ length: random.next() % 64 }, () => random.next() % 256));
        pair.client.writeBody(bytes, false);
        if (random.random() < 0.5) pair.run();
        pair.client.close(random.random() < 0.5 ? 'flush' : 'reset');
        pair.run();
      }
    });

    it('keeps connections apart', () => {
      const create = factory();
      const first = filtered(create);
      const second = filtered(create);
      for (const pair of [first, second]) pair.client.writeBody(input, false);
      first.client.close('reset');
      first.run();
      second.run();
      second.client.end();
      second.run();
      assert.deepEqual(second.received(), exchange(factory(), {}).received());
    });
  });
}

/** The sizes of what is written in one call. */
function watchBuffer(connection: MemoryConnection): { readonly sizes: number[] } {
  const sizes: number[] = [];
  const writeBody = connection.writeBody.bind(connection);
  connection.writeBody = (data, holdable) => {
    sizes.push(data.length);
    return writeBody(data, holdable);
  };
  return { sizes };
}
