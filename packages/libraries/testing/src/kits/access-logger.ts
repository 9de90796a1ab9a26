import assert from 'node:assert/strict';
import {
  type AccessLogger,
  type AccessLoggerExtension,
  type AccessLogType,
  type LogContext,
  StreamInfo,
  Trailers,
} from '@dragoman/core';
import { connectionInfo } from '../memory-connection.ts';
import type { TestContext } from '../test-context.ts';
import { requestHeaders, responseHeaders } from '../test-http-stream.ts';
import { type ConformanceRunner, checkIdentity, type InvalidConfig, LONG_MS, refusals } from './runner.ts';

/** What {@link accessLoggerConformance} is told of the logger. */
export interface AccessLoggerSubject {
  readonly extension: AccessLoggerExtension;
  /** A typed config that is valid. */
  readonly config: unknown;
  readonly invalid?: readonly InvalidConfig[];
  /** The context for the factory; made anew for each test. It usually needs `formatters`, or {@link plainFormatters}. */
  readonly context: () => TestContext;
  /** The entries that a context made by {@link context} has got so far. Default: everything in its log files. */
  readonly entries?: (context: TestContext) => readonly unknown[];
}

const TYPES: readonly AccessLogType[] = [
  'NotSet',
  'TcpConnectionEnd',
  'TcpPeriodic',
  'DownstreamStart',
  'DownstreamPeriodic',
  'DownstreamEnd',
  'UpstreamEnd',
];

/** The context of a log entry: a stream with a request and a response, or what `over` says. */
export function logContext(over: Partial<LogContext> = {}): LogContext {
  return {
    info: new StreamInfo(connectionInfo(), Date.UTC(2026, 0, 1), 1000),
    request: requestHeaders(),
    response: responseHeaders(),
    responseTrailers: undefined,
    type: 'DownstreamEnd',
    ...over,
  };
}

/** Formatters for tests of loggers, not of formats: every entry is `<type> <method> <status>` and a newline. */
export function plainFormatters(): TestContext['formatters'] {
  const formatter = {
    format: ({ type, request, response }: LogContext) =>
      `${type} ${request?.method ?? '-'} ${response?.status ?? '-'}\n`,
  };
  return { text: () => formatter, fromConfig: () => formatter, default: formatter };
}

/**
 * Registers the tests that every access logger has to pass: identity, configs, one entry for each call whatever is known of the stream, no
 * exception, independence of loggers.
 */
export function accessLoggerConformance(runner: ConformanceRunner, subject: AccessLoggerSubject): void {
  const { describe, it } = runner;
  const { extension } = subject;
  const entries = subject.entries ?? ((context: TestContext) => [...context.files.values()].flat());
  const make = (context: TestContext): AccessLogger => extension.create(subject.config as never, context);

  describe(`${extension.name} keeps the contract of access loggers`, () => {
    it('is an access logger', () => checkIdentity(extension, 'access-loggers'));

    refusals(runner, subject.invalid, (config) => extension.create(config, subject.context()));

    it('writes one entry for each call, of whatever type', () => {
      const context = subject.context();
      const logger = make(context);
      for (const type of TYPES) logger.log(logContext({ type }));
      context.clock.advance(LONG_MS);
      assert.equal(entries(context).length, TYPES.length);
    });

    it('writes nothing before it is asked', () => {
      const context = subject.context();
      make(context);
      assert.equal(entries(context).length, 0);
    });

    it('takes a stream of which nothing is known', () => {
      const context = subject.context();
      make(context).log({
        ...logContext(),
        request: undefined,
        response: undefined,
        responseTrailers: undefined,
      });
      context.clock.advance(LONG_MS);
      assert.equal(entries(context).length, 1);
    });

    it('throws on no odd stream', () => {
      const context = subject.context();
      const logger = make(context);
      const trailers = new Trailers();
      trailers.append('grpc-status', '99999999999999999999');
      for (const text of ['', '"', '\\', '\xff\xfe', '{}', '%REQ(X)%', 'a'.repeat(70_000)]) {
        const context = logContext({
          request: requestHeaders({ ':path': text, ':authority': text, 'user-agent': text }),
          responseTrailers: trailers,
        });
        context.info.responseCodeDetails = text;
        context.info.requestId = text;
        context.info.dynamicMetadata.set('test', { deep: [{ text }] });
        logger.log(context);
      }
    });

    it('does not change what it logs', () => {
      const context = subject.context();
      const entry = logContext();
      const before = [entry.request?.entries(), entry.response?.entries(), entry.info.responseFlags];
      make(context).log(entry);
      assert.deepEqual(
        [entry.request?.entries(), entry.response?.entries(), entry.info.responseFlags],
        before,
      );
    });
  });
}
