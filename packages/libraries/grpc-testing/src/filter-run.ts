import type {
  BodyVerdict,
  CreateHttpFilter,
  HeadersVerdict,
  HttpFilter,
  RequestHeaders,
  ResponseHeaders,
  Trailers,
} from '@dragoman/core';
import { TestHttpStream, type TestStreamOptions } from '@dragoman/testing';

/** A message as it comes to the filter. */
export interface Message {
  readonly body?: readonly Buffer[];
  readonly trailers?: Trailers | undefined;
}

/** What the next filter sees of a message. */
export interface Passed {
  /** The headers have gone on. */
  headers: boolean;
  readonly chunks: Buffer[];
  readonly body: Buffer;
  trailers: Trailers | undefined;
  /** All of it has gone on. */
  ended: boolean;
  /** What the filter collects exceeded the stream's limit. */
  overflow: boolean;
}

/** What a filter holds and adds stands in `heldRequestBody` and `heldResponseBody`. */
export class EditedStream extends TestHttpStream {
  /** The filter has answered, or reset the stream. */
  get stopped(): boolean {
    return this.replies.length > 0 || this.calls.some((call) => call.startsWith('reset:'));
  }
}

interface Hooks {
  headers(endStream: boolean): HeadersVerdict;
  body?(chunk: Buffer, endStream: boolean): BodyVerdict;
  trailers?(trailers: Trailers): HeadersVerdict;
}

/** One filter that answers at once, between the two ends of an exchange: messages go through it as in the connection manager. */
export class FilterRun {
  readonly stream: EditedStream;
  readonly filter: HttpFilter;

  constructor(create: CreateHttpFilter, options: TestStreamOptions & { readonly bufferLimit?: number } = {}) {
    this.stream = new EditedStream(options);
    if (options.bufferLimit !== undefined) this.stream.bufferLimit = options.bufferLimit;
    this.filter = create(this.stream);
  }

  /** The headers are the stream's. */
  request(message: Message = {}, headers: RequestHeaders = this.stream.requestHeaders): Passed {
    const { filter, stream } = this;
    const hooks: Hooks = { headers: (end) => filter.onRequestHeaders?.(headers, end) };
    if (filter.onRequestBody !== undefined) hooks.body = filter.onRequestBody.bind(filter);
    if (filter.onRequestTrailers !== undefined) hooks.trailers = filter.onRequestTrailers.bind(filter);
    stream.requestTrailers = message.trailers;
    return pass(stream, stream.heldRequestBody, hooks, message, () => stream.requestTrailers);
  }

  response(headers: ResponseHeaders, message: Message = {}): Passed {
    const { filter, stream } = this;
    const hooks: Hooks = { headers: (end) => filter.onResponseHeaders?.(headers, end) };
    if (filter.onResponseBody !== undefined) hooks.body = filter.onResponseBody.bind(filter);
    if (filter.onResponseTrailers !== undefined) hooks.trailers = filter.onResponseTrailers.bind(filter);
    stream.responseHeaders = headers;
    return pass(stream, stream.heldResponseBody, hooks, message, () => stream.responseTrailers);
  }
}

function pass(
  stream: EditedStream,
  held: Buffer[],
  hooks: Hooks,
  { body = [], trailers }: Message,
  addedTrailers: () => Trailers | undefined,
): Passed {
  const chunks: Buffer[] = [];
  const passed: Passed = {
    headers: false,
    chunks,
    get body() {
      return Buffer.concat(chunks);
    },
    trailers: undefined,
    ended: false,
    overflow: false,
  };
  const emit = (chunk: Buffer) => {
    if (chunk.length > 0) chunks.push(chunk);
  };
  const end = () => {
    passed.ended = true;
    passed.trailers = addedTrailers();
  };
  const endsWithHeaders = body.length === 0 && trailers === undefined;
  const verdict = hooks.headers(endsWithHeaders);
  if (stream.stopped) return passed;
  if (verdict instanceof Promise || verdict === 'pause')
    throw new Error('this run is for filters that answer at once');
  passed.headers = verdict === undefined;
  if (endsWithHeaders) {
    if (!passed.headers) return passed;
    emit(Buffer.concat(held.splice(0)));
    end();
    return passed;
  }
  for (const [i, original] of body.entries()) {
    const last = i === body.length - 1 && trailers === undefined;
    const chunk = Buffer.from(original);
    const answer = hooks.body?.(chunk, last);
    if (stream.stopped) return passed;
    if (answer instanceof Promise) throw new Error('this run is for filters that answer at once');
    if (answer === 'collect' || answer === 'pause') {
      held.push(chunk);
      passed.overflow = Buffer.concat(held).length > stream.bufferLimit;
      if (passed.overflow) return passed;
      continue;
    }
    passed.headers = true;
    emit(Buffer.concat([...held.splice(0), answer ?? chunk]));
    if (last) end();
  }
  if (trailers === undefined) return passed;
  const answer = hooks.trailers?.(trailers);
  if (stream.stopped) return passed;
  if (answer !== undefined) throw new Error('this run is for filters that answer at once');
  passed.headers = true;
  emit(Buffer.concat(held.splice(0)));
  passed.trailers = trailers;
  passed.ended = true;
  return passed;
}
