import assert from 'node:assert/strict';
import {
  type CreateHttpFilter,
  type HttpFilterExtension,
  RequestHeaders,
  ResponseHeaders,
  Trailers,
} from '@dragoman/core';
import { SeededRandom } from '../random.ts';
import { type TestContext, testContext } from '../test-context.ts';
import {
  requestHeaders,
  responseHeaders,
  TestHttpStream,
  type TestStreamOptions,
} from '../test-http-stream.ts';
import { driveExchange, type Exchange, PHASES } from './http-filter-driver.ts';
import {
  type ConformanceRunner,
  checkIdentity,
  type InvalidConfig,
  LONG_MS,
  refusals,
  settled,
} from './runner.ts';

/** What {@link httpFilterConformance} is told of the filter. */
export interface HttpFilterSubject {
  readonly extension: HttpFilterExtension;
  /** A typed config that is valid. */
  readonly config: unknown;
  readonly invalid?: readonly InvalidConfig[];
  /** The context for the factory; made anew for each test. Default: {@link testContext}. */
  readonly context?: () => TestContext;
  /** Route and per-route config of the streams. */
  readonly stream?: Omit<TestStreamOptions, 'request'>;
  /** True when streams are meant to influence each other (a rate limit, a cache): leaves that test out. */
  readonly sharesState?: boolean;
}

/** Odd exchanges tried on each filter. */
const ODD_EXCHANGES = 300;

/**
 * Registers the tests that every HTTP filter has to pass: identity, configs, whole exchanges with and without bodies and trailers, an
 * end at every phase, silence after `onComplete`, odd input, independence of streams.
 */
export function httpFilterConformance(runner: ConformanceRunner, subject: HttpFilterSubject): void {
  const { describe, it } = runner;
  const { extension } = subject;
  const newContext = subject.context ?? testContext;
  const factory = (context = newContext()): CreateHttpFilter =>
    extension.create(subject.config as never, context) as CreateHttpFilter;
  const newStream = (exchange: Exchange): TestHttpStream =>
    new TestHttpStream({ ...subject.stream, request: exchange.request });

  describe(`${extension.name} keeps the contract of HTTP filters`, () => {
    it('is an HTTP filter that does not end the chain', () => {
      checkIdentity(extension, 'http-filters');
      assert.equal(extension.terminal, false);
    });

    refusals(runner, subject.invalid, (config) => extension.create(config, newContext()));

    it('has only hooks of the contract', () => {
      const exchange = plainExchange();
      const filter = factory()(newStream(exchange));
      for (const phase of [...PHASES, 'onComplete'] as const) {
        assert.ok(
          filter[phase] === undefined || typeof filter[phase] === 'function',
          `${phase} is a function or absent`,
        );
      }
    });

    for (const [name, exchange] of usualExchanges()) {
      it(`takes ${name}`, async () => {
        const context = newContext();
        const stream = newStream(exchange());
        const filter = factory(context)(stream);
        await driveExchange(filter, stream, exchange());
        assert.ok(stream.replies.length <= 1, 'it replies once at most');
        await silentAfterComplete(filter, stream, context);
      });
    }

    for (const phase of PHASES) {
      it(`lets go when the stream ends before ${phase}`, async () => {
        const context = newContext();
        const exchange = fullExchange();
        const stream = newStream(exchange);
        const filter = factory(context)(stream);
        await driveExchange(filter, stream, exchange, phase);
        await silentAfterComplete(filter, stream, context);
      });
    }

    it('throws on no odd input', async () => {
      const random = new SeededRandom(7);
      const context = newContext();
      const create = factory(context);
      for (let i = 0; i < ODD_EXCHANGES; i++) {
        const exchange = oddExchange(random);
        const stream = newStream(exchange);
        const filter = create(stream);
        await driveExchange(filter, stream, exchange);
        filter.onComplete?.();
      }
    });

    if (subject.sharesState !== true) {
      it('keeps streams apart', async () => {
        const alone = await traceOf([fullExchange()], factory(), newStream);
        const together = await traceOf(
          [fullExchange(), oddExchange(new SeededRandom(3)), fullExchange()],
          factory(),
          newStream,
        );
        assert.deepEqual(together[0], alone[0]);
        assert.deepEqual(together[2], alone[0]);
      });
    }
  });
}

/** Completes the stream, lets promises settle and a day pass: nothing may be asked of the stream any more, no timer may be left. */
async function silentAfterComplete(
  filter: ReturnType<CreateHttpFilter>,
  stream: TestHttpStream,
  context: TestContext,
): Promise<void> {
  filter.onComplete?.();
  const calls = [...stream.calls];
  const replies = stream.replies.length;
  await settled();
  context.clock.advance(LONG_MS);
  await settled();
  assert.deepEqual(stream.calls, calls, 'nothing is asked of a stream that is over');
  assert.equal(stream.replies.length, replies, 'a stream that is over gets no reply');
  assert.equal(context.clock.pendingTimers, 0, 'no timer outlives the stream');
}

/** What became of each of several exchanges that run at the same time. */
async function traceOf(
  exchanges: readonly Exchange[],
  create: CreateHttpFilter,
  newStream: (exchange: Exchange) => TestHttpStream,
): Promise<unknown[]> {
  const runs = exchanges.map(async (exchange) => {
    const stream = newStream(exchange);
    const filter = create(stream);
    const result = await driveExchange(filter, stream, exchange);
    filter.onComplete?.();
    return {
      result,
      calls: [...stream.calls],
      replies: stream.replies.map(({ status, details, body }) => ({ status, details, body })),
      request: exchange.request.entries(),
      response: exchange.response.entries(),
    };
  });
  return Promise.all(runs);
}

function plainExchange(): Exchange {
  return { request: requestHeaders(), requestBody: [], response: responseHeaders(), responseBody: [] };
}

function fullExchange(): Exchange {
  return {
    request: requestHeaders({ ':method': 'POST', ':path': '/a?b=c', 'content-type': 'text/plain' }),
    requestBody: [Buffer.from('hello '), Buffer.from('world')],
    requestTrailers: trailers('x-request-end'),
    response: responseHeaders({ 'content-type': 'text/plain', server: 'upstream' }),
    responseBody: [Buffer.from('good'), Buffer.alloc(0), Buffer.from('bye')],
    responseTrailers: trailers('x-response-end'),
  };
}

function usualExchanges(): readonly (readonly [string, () => Exchange])[] {
  return [
    ['an exchange without bodies', plainExchange],
    ['bodies', () => ({ ...fullExchange(), requestTrailers: undefined, responseTrailers: undefined })],
    ['bodies and trailers', fullExchange],
    [
      'an empty last chunk',
      () => ({ ...plainExchange(), requestBody: [Buffer.alloc(0)], responseBody: [Buffer.alloc(0)] }),
    ],
    ['HEAD', () => ({ ...plainExchange(), request: requestHeaders({ ':method': 'HEAD' }) })],
  ];
}

function trailers(name: string): Trailers {
  const made = new Trailers();
  made.append(name, '1');
  return made;
}

const ODD_TEXTS = [
  '',
  ' ',
  '%',
  '%zz',
  '\xff\xfe',
  '\xc3\xa9',
  '..',
  '/../..',
  '//',
  '?',
  '#',
  ';',
  ',',
  '=',
  '"',
  '{}',
  '[',
  '0',
  '-1',
  '9'.repeat(40),
  'a'.repeat(9000),
  '\t',
  '*',
];
const ODD_NAMES = [
  'cookie',
  'host',
  'content-length',
  'content-type',
  'authorization',
  'x-forwarded-for',
  'x-request-id',
  'te',
  'x',
  'accept-encoding',
  'origin',
  'range',
];

function oddExchange(random: SeededRandom): Exchange {
  const pick = <T>(list: readonly T[]): T => list[random.next() % list.length];
  const request = new RequestHeaders();
  const response = new ResponseHeaders();
  for (const pseudo of [':method', ':path', ':authority', ':scheme']) {
    if (random.random() < 0.8) request.append(pseudo, pick(ODD_TEXTS));
  }
  for (let i = random.next() % 6; i > 0; i--) request.append(pick(ODD_NAMES), pick(ODD_TEXTS));
  response.status = 100 + (random.next() % 900);
  for (let i = random.next() % 6; i > 0; i--) response.append(pick(ODD_NAMES), pick(ODD_TEXTS));
  const body = () => Array.from({ length: random.next() % 3 }, () => Buffer.from(pick(ODD_TEXTS), 'latin1'));
  return { request, requestBody: body(), response, responseBody: body() };
}
