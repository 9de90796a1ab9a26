import type { BodyVerdict, Gauge, RequestHeaders } from '@dragoman/core';
import type { LineValues } from './bound-fields.ts';
import { BufferGauge } from './buffer-gauge.ts';
import { type Exchange, FAILED, FAILED_EARLY } from './exchange.ts';
import { becomeCall } from './headers.ts';
import { Refusal } from './refusal.ts';
import { jsonBody, type RequestBody, rawBody } from './request-body.ts';
import { MessageMaker, outsideBody, packUnknown } from './request-message.ts';

const EMPTY = Buffer.alloc(0);

/** The request of an exchange: headers become those of a call, the body becomes its messages. */
export class RequestSide {
  private readonly exchange: Exchange;
  private readonly body: RequestBody;
  private readonly buffered: BufferGauge;

  private constructor(exchange: Exchange, body: RequestBody, gauge: Gauge) {
    this.exchange = exchange;
    this.body = body;
    this.buffered = new BufferGauge(gauge);
  }

  /** @returns undefined when the exchange was rejected over it */
  static begin(
    exchange: Exchange,
    headers: RequestHeaders,
    line: LineValues,
    gauge: Gauge,
  ): RequestSide | undefined {
    const body = bodyOf(exchange, headers, line);
    if (body instanceof Refusal) {
      exchange.reject(FAILED, body);
      return undefined;
    }
    const { stream, transcoder, call } = exchange;
    becomeCall(headers, call.path);
    if (!transcoder.keepsRoute) stream.clearRouteCache();
    return new RequestSide(exchange, body, gauge);
  }

  /** The request has no body: it gets one. */
  finishWithHeaders(): void {
    const rest = this.body.finish();
    if (rest instanceof Refusal) this.exchange.reject(FAILED_EARLY, rest);
    else if (rest.length > 0) this.exchange.stream.addRequestBody(rest);
  }

  push(chunk: Buffer, endStream: boolean): BodyVerdict {
    const frames = this.body.push(chunk);
    if (frames instanceof Refusal) return this.reject(frames);
    if (!endStream) {
      this.buffered.set(this.body.pendingBytes);
      return frames;
    }
    const rest = this.body.finish();
    this.release();
    if (rest instanceof Refusal) return this.reject(rest);
    return frames.length === 0 ? rest : Buffer.concat([frames, rest]);
  }

  /** The body ends with trailers. */
  finishWithTrailers(): void {
    const rest = this.body.finish();
    this.release();
    if (rest instanceof Refusal) this.reject(rest);
    else if (rest.length > 0) this.exchange.stream.addRequestBody(rest);
  }

  release(): void {
    this.buffered.set(0);
  }

  private reject(refusal: Refusal): void {
    this.release();
    this.exchange.reject(FAILED, refusal);
  }
}

function bodyOf(
  { stream, transcoder, call }: Exchange,
  headers: RequestHeaders,
  line: LineValues,
): RequestBody | Refusal {
  const limit = transcoder.maxRequestBytes ?? stream.bufferLimit;
  if (!call.rawBody) return jsonBody(call, new MessageMaker(call, line.fields, transcoder.request), limit);
  const fields = outsideBody(line.fields, call.body);
  const maker = new MessageMaker({ ...call, body: [] }, fields, transcoder.request);
  const others = fields.length === 0 ? EMPTY : maker.message(undefined);
  if (others instanceof Refusal) return others;
  // Header values are bytes; a field is text.
  const contentType = Buffer.from(headers.get('content-type') ?? '', 'latin1').toString('utf8');
  const extension = line.unknown === undefined ? undefined : packUnknown(line.unknown);
  return rawBody(call, { others, contentType, extension }, limit);
}
