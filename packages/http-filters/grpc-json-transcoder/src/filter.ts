import { GrpcJsonTranscoderSchema } from '@dragoman/api';
import {
  type BodyVerdict,
  defineHttpFilter,
  type FactoryContext,
  type Gauge,
  type HeadersVerdict,
  type HttpFilter,
  type HttpFilterExtension,
  type HttpStream,
  type RequestHeaders,
  type ResponseHeaders,
  type Trailers,
} from '@dragoman/core';
import { isGrpc } from '@dragoman/grpc-frames';
import { bindLine, type LineValues, UnknownName } from './bound-fields.ts';
import type { Call } from './call.ts';
import { parseConfig, type Transcoder } from './config.ts';
import { Exchange, FAILED_EARLY, replyTo } from './exchange.ts';
import { ID_CONTENT_TYPE } from './headers.ts';
import { Refusal } from './refusal.ts';
import { RequestSide } from './request-side.ts';
import { isGrpcResponse, ResponseSide } from './response-side.ts';

/** The extension: what an app lists. */
export const grpcJsonTranscoder: HttpFilterExtension = defineHttpFilter({
  name: 'envoy.filters.http.grpc_json_transcoder',
  config: GrpcJsonTranscoderSchema,
  perRoute: GrpcJsonTranscoderSchema,
  createPerRoute: (config, context): PerRoute => ({ transcoder: parseConfig(config, warnTo(context)) }),
  create(config, context) {
    const transcoder = parseConfig(config, warnTo(context));
    const scope = context.stats.scope(context.statPrefix);
    const gauges: Gauges = {
      request: scope.gauge('transcoder_request_buffer_bytes'),
      response: scope.gauge('transcoder_response_buffer_bytes'),
    };
    return (stream) => new TranscoderFilter(stream, transcoder, gauges);
  },
});

function warnTo(context: FactoryContext): (path: string, message: string) => void {
  return (path, message) => context.warn(path, message);
}

/** What a route has in the place of the filter's config; undefined: nothing is transcoded. */
interface PerRoute {
  readonly transcoder: Transcoder | undefined;
}

/** Bytes that streams hold until something can be made of them. */
interface Gauges {
  readonly request: Gauge;
  readonly response: Gauge;
}

class TranscoderFilter implements HttpFilter {
  private readonly stream: HttpStream;
  private readonly transcoder: Transcoder | undefined;
  private readonly gauges: Gauges;
  private exchange: Exchange | undefined = undefined;
  private request: RequestSide | undefined = undefined;
  private response: ResponseSide | undefined = undefined;

  constructor(stream: HttpStream, transcoder: Transcoder | undefined, gauges: Gauges) {
    this.stream = stream;
    this.transcoder = transcoder;
    this.gauges = gauges;
  }

  onRequestHeaders(headers: RequestHeaders, endStream: boolean): HeadersVerdict {
    const { stream } = this;
    const perRoute = stream.perRouteConfig<PerRoute>();
    const transcoder = perRoute === undefined ? this.transcoder : perRoute.transcoder;
    if (transcoder === undefined || isGrpc(headers.getKnown(ID_CONTENT_TYPE))) return;
    const found = findCall(transcoder, headers);
    if (found instanceof Refusal) {
      if (isPassed(found, transcoder)) return;
      replyTo(stream, FAILED_EARLY, found);
      return 'pause';
    }
    const { maxRequestBytes = 0, maxResponseBytes = 0 } = transcoder;
    stream.bufferLimit = Math.max(stream.bufferLimit, maxRequestBytes, maxResponseBytes);
    this.exchange = new Exchange(stream, transcoder, found.call, headers);
    this.request = RequestSide.begin(this.exchange, headers, found.line, this.gauges.request);
    if (endStream) this.request?.finishWithHeaders();
    return this.exchange.over ? 'pause' : undefined;
  }

  onRequestBody(chunk: Buffer, endStream: boolean): BodyVerdict {
    return this.exchange?.over === false ? this.request?.push(chunk, endStream) : undefined;
  }

  onRequestTrailers(): HeadersVerdict {
    if (this.exchange?.over === false) this.request?.finishWithTrailers();
    return this.exchange?.over === true ? 'pause' : undefined;
  }

  onResponseHeaders(headers: ResponseHeaders, endStream: boolean): HeadersVerdict {
    const { exchange } = this;
    if (exchange === undefined || exchange.over || !isGrpcResponse(headers, endStream)) return undefined;
    this.response = new ResponseSide(exchange, headers, this.gauges.response);
    if (!endStream) return this.response.begin();
    this.response.finishWithHeaders();
    return undefined;
  }

  onResponseBody(chunk: Buffer, endStream: boolean): BodyVerdict {
    return this.exchange?.over === false ? this.response?.push(chunk, endStream) : undefined;
  }

  onResponseTrailers(trailers: Trailers): HeadersVerdict {
    if (this.exchange?.over === false) this.response?.finishWithTrailers(trailers);
    return undefined;
  }

  onComplete(): void {
    this.request?.release();
    this.response?.release();
  }
}

interface FoundCall {
  readonly call: Call;
  readonly line: LineValues;
}

function findCall(transcoder: Transcoder, headers: RequestHeaders): FoundCall | Refusal {
  const mark = headers.path.indexOf('?');
  const path = mark < 0 ? headers.path : headers.path.slice(0, mark);
  const match = transcoder.calls.match(headers.method, path);
  if (match === undefined) {
    const shown = Buffer.from(path, 'latin1').toString('utf8');
    return new Refusal(404, 'NOT_FOUND', `Could not resolve ${shown} to a method.`);
  }
  const { target: call, segments } = match;
  const query = mark < 0 ? '' : headers.path.slice(mark + 1);
  const line = bindLine(call.input, call.variables, segments, query, transcoder.line);
  return line instanceof Refusal ? line : { call, line };
}

/** What cannot be transcoded goes on as it is, unless it is to be rejected. */
function isPassed(refusal: Refusal, transcoder: Transcoder): boolean {
  if (refusal.code === 'NOT_FOUND') return !transcoder.rejectUnknownMethod;
  return refusal instanceof UnknownName && !transcoder.rejectUnknownQueryParameters;
}
