import assert from 'node:assert/strict';
import {
  type BodyVerdict,
  type HeadersVerdict,
  type HttpFilter,
  type RequestHeaders,
  ResponseHeaders,
  type Trailers,
} from '@dragoman/core';
import type { TestHttpStream } from '../test-http-stream.ts';
import { settled } from './runner.ts';

/** One exchange, as the connection manager would bring it to a filter. */
export interface Exchange {
  readonly request: RequestHeaders;
  readonly requestBody: readonly Buffer[];
  readonly requestTrailers?: Trailers;
  readonly response: ResponseHeaders;
  readonly responseBody: readonly Buffer[];
  readonly responseTrailers?: Trailers;
}

/** The hooks in the order of an exchange; a test may end the stream before any of them. */
export const PHASES = [
  'onRequestHeaders',
  'onRequestBody',
  'onRequestTrailers',
  'onInformational',
  'onResponseHeaders',
  'onResponseBody',
  'onResponseTrailers',
] as const;
export type Phase = (typeof PHASES)[number];

/** How far an exchange came. */
export type DriveResult = 'passed' | 'replied' | 'reset' | 'held' | 'stopped';

/**
 * Brings an exchange to one filter, hook by hook, obeying its verdicts: after `'pause'`, `'collect'` and promises it goes on when the
 * filter does. Checks that every verdict is one of the contract's.
 *
 * @param before ends the exchange before this hook: `'stopped'`
 */
export async function driveExchange(
  filter: HttpFilter,
  stream: TestHttpStream,
  exchange: Exchange,
  before?: Phase,
): Promise<DriveResult> {
  for (const phase of PHASES) {
    if (phase === before) return 'stopped';
    const side = phase.startsWith('onRequest') ? 'request' : 'response';
    for (const call of callsOf(phase, filter, stream, exchange)) {
      const passed = await obey(call(), stream, side);
      // A reply of the filter's own goes through its response hooks: the exchange ends here for the request side only.
      if (stream.calls.some((name) => name.startsWith('reset:'))) return 'reset';
      if (side === 'request' && stream.replies.length > 0) return answerLocally(filter, stream);
      if (!passed) return 'held';
    }
  }
  return 'passed';
}

type Call = () => HeadersVerdict | BodyVerdict;

function* callsOf(
  phase: Phase,
  filter: HttpFilter,
  stream: TestHttpStream,
  exchange: Exchange,
): Iterable<Call> {
  const { request, requestBody, requestTrailers, response, responseBody, responseTrailers } = exchange;
  switch (phase) {
    case 'onRequestHeaders':
      yield () =>
        filter.onRequestHeaders?.(request, requestBody.length === 0 && requestTrailers === undefined);
      return;
    case 'onRequestBody':
      yield* bodyCalls(requestBody, requestTrailers === undefined, (chunk, end) =>
        filter.onRequestBody?.(chunk, end),
      );
      return;
    case 'onRequestTrailers':
      if (requestTrailers === undefined) return;
      stream.requestTrailers = requestTrailers;
      yield () => filter.onRequestTrailers?.(requestTrailers);
      return;
    case 'onInformational':
      yield () => filter.onInformational?.(earlyHints());
      return;
    case 'onResponseHeaders':
      stream.responseHeaders = response;
      yield () =>
        filter.onResponseHeaders?.(response, responseBody.length === 0 && responseTrailers === undefined);
      return;
    case 'onResponseBody':
      yield* bodyCalls(responseBody, responseTrailers === undefined, (chunk, end) =>
        filter.onResponseBody?.(chunk, end),
      );
      return;
    case 'onResponseTrailers':
      if (responseTrailers === undefined) return;
      stream.responseTrailers = responseTrailers;
      yield () => filter.onResponseTrailers?.(responseTrailers);
  }
}

function* bodyCalls(
  chunks: readonly Buffer[],
  ends: boolean,
  hook: (chunk: Buffer, end: boolean) => BodyVerdict,
): Iterable<Call> {
  for (let i = 0; i < chunks.length; i++) {
    yield () => hook(Buffer.from(chunks[i]), ends && i === chunks.length - 1);
  }
}

/** Whether the exchange goes on. */
async function obey(
  verdict: HeadersVerdict | BodyVerdict,
  stream: TestHttpStream,
  side: 'request' | 'response',
): Promise<boolean> {
  if (verdict === undefined || Buffer.isBuffer(verdict)) return true;
  if (verdict === 'collect') return true;
  if (verdict instanceof Promise) {
    let done = false;
    verdict.then(
      () => {
        done = true;
      },
      () => {
        done = true;
      },
    );
    await settled();
    return done;
  }
  assert.equal(verdict, 'pause', 'a verdict is nothing, pause, collect, a Buffer (for bodies) or a promise');
  const resume = side === 'request' ? 'resumeRequest' : 'resumeResponse';
  await settled();
  return stream.calls.includes(resume);
}

async function answerLocally(filter: HttpFilter, stream: TestHttpStream): Promise<DriveResult> {
  const [reply] = stream.replies;
  assert.ok(
    reply.status >= 200 && reply.status <= 599,
    `a local reply has a final status, not ${reply.status}`,
  );
  assert.notEqual(reply.details, '', 'a local reply says where it comes from');
  const headers = new ResponseHeaders();
  headers.status = reply.status;
  reply.modifyHeaders?.(headers);
  stream.responseHeaders = headers;
  const body = Buffer.from(reply.body ?? '');
  await obey(filter.onResponseHeaders?.(headers, body.length === 0), stream, 'response');
  if (body.length > 0) await obey(filter.onResponseBody?.(body, true), stream, 'response');
  return 'replied';
}

function earlyHints(): ResponseHeaders {
  const headers = new ResponseHeaders();
  headers.status = 103;
  return headers;
}
