import {
  type Cancellable,
  type HttpStream,
  type LocalReply,
  RequestHeaders,
  ResponseHeaders,
  type Route,
  StreamInfo,
  type StreamResetReason,
  Trailers,
} from '@dragoman/core';
import { connectionInfo } from './memory-connection.ts';

/** What a {@link TestHttpStream} starts with. */
export interface TestStreamOptions {
  readonly request?: RequestHeaders;
  readonly response?: ResponseHeaders;
  readonly route?: Route;
  /** Per-route configs of the filter under test, most specific first. */
  readonly perRoute?: readonly unknown[];
  readonly info?: StreamInfo;
}

let nextId = 1;

/**
 * The stream of one HTTP filter, for tests that call its hooks by hand: keeps what the filter asks of it. It does not run a
 * filter chain: what a verdict makes the connection manager do is tested there.
 */
export class TestHttpStream implements HttpStream {
  readonly id = nextId++;
  readonly info: StreamInfo;
  readonly requestHeaders: RequestHeaders;
  requestTrailers: Trailers | undefined;
  responseHeaders: ResponseHeaders | undefined;
  responseTrailers: Trailers | undefined;
  bufferLimit = 1024 * 1024;
  readonly heldRequestBody: Buffer[] = [];
  readonly heldResponseBody: Buffer[] = [];
  /** Local replies, in order; at most one from a filter that behaves. */
  readonly replies: LocalReply[] = [];
  /** `resumeRequest`, `resumeResponse`, `clearRouteCache`, `reset:<reason>`, `demandRoute`, `cancelDemand`, `startAnew`, in order. */
  readonly calls: string[] = [];
  route: Route | undefined;
  /** There is somebody to be asked for routes. */
  demandable = false;
  /** What {@link startAnew} answers. */
  restartable = false;
  /** Answers what {@link demandRoute} has asked. */
  answerDemand: ((found: boolean) => void) | undefined = undefined;
  private readonly perRoute: readonly unknown[];

  constructor(options: TestStreamOptions = {}) {
    this.requestHeaders = options.request ?? requestHeaders();
    this.responseHeaders = options.response;
    this.route = options.route;
    this.perRoute = options.perRoute ?? [];
    this.info = options.info ?? new StreamInfo(connectionInfo(), 0, 0);
  }

  clearRouteCache(): void {
    this.calls.push('clearRouteCache');
  }

  perRouteConfig<T>(): T | undefined {
    return this.perRoute[0] as T | undefined;
  }

  perRouteConfigs<T>(): readonly T[] {
    return [...this.perRoute].reverse() as T[];
  }

  reply(reply: LocalReply): void {
    this.replies.push(reply);
  }

  resumeRequest(): void {
    this.calls.push('resumeRequest');
  }

  resumeResponse(): void {
    this.calls.push('resumeResponse');
  }

  addRequestBody(chunk: Buffer): void {
    this.heldRequestBody.push(chunk);
  }

  addResponseBody(chunk: Buffer): void {
    this.heldResponseBody.push(chunk);
  }

  takeHeldRequestBody(): Buffer[] {
    return this.heldRequestBody.splice(0);
  }

  takeHeldResponseBody(): Buffer[] {
    return this.heldResponseBody.splice(0);
  }

  demandRoute(onAnswer: (found: boolean) => void): Cancellable | undefined {
    this.calls.push('demandRoute');
    if (!this.demandable) return undefined;
    this.answerDemand = onAnswer;
    return { cancel: () => this.calls.push('cancelDemand') };
  }

  startAnew(): boolean {
    this.calls.push('startAnew');
    return this.restartable;
  }

  addRequestTrailers(): Trailers {
    this.requestTrailers ??= new Trailers();
    return this.requestTrailers;
  }

  addResponseTrailers(): Trailers {
    this.responseTrailers ??= new Trailers();
    return this.responseTrailers;
  }

  reset(reason: StreamResetReason): void {
    this.calls.push(`reset:${reason}`);
  }
}

/** A request's headers from name-value pairs; `GET / http://test` where they say nothing else. */
export function requestHeaders(fields: Readonly<Record<string, string>> = {}): RequestHeaders {
  const headers = new RequestHeaders();
  const all = { ':method': 'GET', ':path': '/', ':scheme': 'http', ':authority': 'test', ...fields };
  for (const [name, value] of Object.entries(all)) headers.append(name, value);
  return headers;
}

/** A response's headers from name-value pairs; status 200 where they say nothing else. */
export function responseHeaders(fields: Readonly<Record<string, string>> = {}): ResponseHeaders {
  const headers = new ResponseHeaders();
  for (const [name, value] of Object.entries({ ':status': '200', ...fields })) headers.append(name, value);
  return headers;
}
