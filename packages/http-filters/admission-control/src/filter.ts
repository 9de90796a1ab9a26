import {
  type Counter,
  type HttpFilter,
  type HttpStream,
  type LocalReply,
  type RandomSource,
  type RequestHeaders,
  type ResponseHeaders,
  type Trailers,
  wellKnownId,
} from '@dragoman/core';
import { isGrpc, readGrpcStatus } from '@dragoman/grpc-frames';
import type { Options } from './config.ts';
import { isRejected, rejectionProbability } from './rejection.ts';
import type { RequestHistory } from './request-history.ts';

const ID_CONTENT_TYPE = wellKnownId('content-type');
const ID_GRPC_STATUS = wellKnownId('grpc-status');
const OK = 200;

const REJECTION: LocalReply = { status: 503, details: 'denied_by_admission_control' };

/** What all streams of a filter share. */
export interface Shared {
  readonly options: Options;
  readonly history: RequestHistory;
  readonly random: RandomSource;
  readonly rejected: Counter;
  readonly success: Counter;
  readonly failure: Counter;
}

export class AdmissionControlFilter implements HttpFilter {
  private readonly shared: Shared;
  private readonly stream: HttpStream;
  /** The answer counts. Also that of a filter before this one: the hooks of all filters run on it. */
  private counts = true;
  private statusInTrailers = false;

  constructor(shared: Shared, stream: HttpStream) {
    this.shared = shared;
    this.stream = stream;
  }

  onRequestHeaders(_headers: RequestHeaders): void {
    const { options, history, rejected } = this.shared;
    if (!options.enabled() || this.stream.info.healthCheck) {
      this.counts = false;
      return;
    }
    if (history.averageRps < options.rpsThreshold()) return;
    if (!this.draws()) return;
    // Rejections say nothing of the upstream; counted, they would keep its success rate down for ever.
    this.counts = false;
    rejected.inc();
    this.stream.reply(REJECTION);
  }

  onResponseHeaders(headers: ResponseHeaders, endStream: boolean): void {
    if (!this.counts) return;
    const { criteria } = this.shared.options;
    if (!isGrpcAnswer(headers, endStream)) {
      this.record(criteria.http(headers.status));
      return;
    }
    const status = readGrpcStatus(headers.getKnown(ID_GRPC_STATUS));
    if (status === undefined) this.statusInTrailers = true;
    else this.record(criteria.grpc(status));
  }

  onResponseTrailers(trailers: Trailers): void {
    if (!this.statusInTrailers) return;
    const status = readGrpcStatus(trailers.getKnown(ID_GRPC_STATUS));
    this.record(status !== undefined && this.shared.options.criteria.grpc(status));
  }

  private draws(): boolean {
    const { options, history, random } = this.shared;
    history.slide();
    const probability = rejectionProbability(
      history.requests,
      history.successes,
      options.threshold(),
      options.aggression(),
      options.maxRejection(),
    );
    return isRejected(probability, random.next());
  }

  private record(success: boolean): void {
    const { history, success: successes, failure: failures } = this.shared;
    (success ? successes : failures).inc();
    history.record(success);
  }
}

/** Without a body the status alone says so: such an answer has no trailers. */
function isGrpcAnswer(headers: ResponseHeaders, endStream: boolean): boolean {
  if (endStream) return headers.getKnown(ID_GRPC_STATUS) !== undefined;
  return headers.status === OK && isGrpc(headers.getKnown(ID_CONTENT_TYPE));
}
