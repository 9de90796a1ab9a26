import {
  type ClusterManager,
  type HttpFilter,
  type HttpStream,
  type RequestHeaders,
  type ResponseHeaders,
  type Trailers,
  wellKnownId,
} from '@dragoman/core';
import {
  type CallStats,
  clusterOfStream,
  type GrpcCall,
  type GrpcCallStats,
} from '@dragoman/grpc-call-stats';
import { GrpcFrameCounter, isConnectStreaming, isGrpc } from '@dragoman/grpc-frames';
import type { Options } from './config.ts';
import { ConnectAnswerCounter } from './connect-counter.ts';
import { FILTER_STATE_NAME, MessageCounts } from './message-counts.ts';

const ID_CONTENT_TYPE = wellKnownId('content-type');
const ID_GRPC_STATUS = wellKnownId('grpc-status');
const OK = 200;

/** What all streams of a filter share. */
export interface Shared {
  readonly calls: GrpcCallStats;
  readonly clusters: ClusterManager;
  readonly random: { next(): number };
}

type Kind = 'grpc' | 'connect-streaming' | 'connect-unary';

/** Looks on; changes nothing. */
export class GrpcStatsFilter implements HttpFilter {
  private readonly options: Options;
  private readonly shared: Shared;
  private readonly stream: HttpStream;
  private kind: Kind | undefined;
  private tracked = false;
  private name: GrpcCall | undefined;
  private call: CallStats | undefined;
  /** Messages that came before the router had chosen a cluster. */
  private waiting = 0;
  private readonly requests: GrpcFrameCounter = new GrpcFrameCounter();
  private responses: GrpcFrameCounter | ConnectAnswerCounter | undefined;
  private counts: MessageCounts | undefined;

  constructor(options: Options, shared: Shared, stream: HttpStream) {
    this.options = options;
    this.shared = shared;
    this.stream = stream;
  }

  onRequestHeaders(headers: RequestHeaders): void {
    this.kind = kindOf(headers);
    if (this.kind === undefined) return;
    // Named now: the router may rewrite the path.
    const naming = this.options.naming.nameOf(headers.path);
    this.tracked = naming !== undefined;
    this.name = naming?.name;
  }

  onRequestBody(chunk: Buffer, endStream: boolean): void {
    if (this.kind === undefined) return;
    const begun = this.kind === 'connect-unary' ? Number(endStream) : this.requests.push(chunk);
    if (begun === 0) return;
    this.note('request', begun);
    this.waiting += begun;
    this.flushRequests(this.stream.info.upstreamClusterInfo !== undefined);
  }

  onResponseHeaders(headers: ResponseHeaders, endStream: boolean): void {
    if (this.kind === undefined) return;
    const type = headers.getKnown(ID_CONTENT_TYPE);
    const status = headers.getKnown(ID_GRPC_STATUS);
    if (endStream ? status !== undefined : headers.status === OK && isGrpc(type))
      this.responses = new GrpcFrameCounter();
    else if (this.kind === 'connect-streaming') this.responses = new ConnectAnswerCounter();
    const call = this.resolveCall();
    if (call === undefined) return;
    if (this.kind === 'connect-unary') call.chargeOutcome(headers.status === OK);
    else if (headers.status !== OK || !isConnectStreaming(type)) call.chargeStatus(status);
    if (endStream) this.recordUpstreamTime();
  }

  onResponseBody(chunk: Buffer, endStream: boolean): void {
    const { kind, responses } = this;
    if (kind === undefined) return;
    const begun = responses?.push(chunk) ?? Number(kind === 'connect-unary' && endStream);
    if (begun > 0) {
      this.note('response', begun);
      this.resolveCall()?.addResponseMessages(begun);
    }
    if (!endStream || responses instanceof GrpcFrameCounter) return;
    if (responses !== undefined) this.resolveCall()?.chargeOutcome(responses.success);
    if (kind !== 'grpc') this.recordUpstreamTime();
  }

  onResponseTrailers(trailers: Trailers): void {
    if (this.kind !== 'grpc') return;
    this.resolveCall()?.chargeStatus(trailers.getKnown(ID_GRPC_STATUS));
    this.recordUpstreamTime();
  }

  onComplete(): void {
    this.flushRequests(true);
  }

  /** The call's stats, once it is known where it goes, or that it goes nowhere. */
  private resolveCall(): CallStats | undefined {
    if (!this.tracked || this.call !== undefined) return this.call;
    const { calls, clusters, random } = this.shared;
    const cluster = clusterOfStream(this.stream, clusters, random);
    if (cluster === undefined) {
      this.tracked = false;
      return undefined;
    }
    this.call = calls.of(cluster, this.name);
    this.flushRequests(true);
    return this.call;
  }

  private flushRequests(clusterKnown: boolean): void {
    if (this.waiting === 0 || !clusterKnown) return;
    const { waiting } = this;
    this.waiting = 0;
    this.resolveCall()?.addRequestMessages(waiting);
  }

  private recordUpstreamTime(): void {
    const { lastUpstreamTxByteSent: sent, lastUpstreamRxByteReceived: received } = this.stream.info;
    if (!this.options.upstreamStats || sent === 0 || received === 0) return;
    // The upstream may have answered before the request was complete.
    this.resolveCall()?.recordUpstreamTime(Math.max(0, Math.floor(received - sent)));
  }

  private note(direction: 'request' | 'response', begun: number): void {
    if (!this.options.emitFilterState) return;
    if (this.counts === undefined) {
      this.counts = new MessageCounts();
      this.stream.info.filterState.set(FILTER_STATE_NAME, this.counts);
    }
    this.counts[direction] += begun;
  }
}

/** A stream of Connect's may name its version too: its content type decides. */
function kindOf(headers: RequestHeaders): Kind | undefined {
  if (headers.path === '') return undefined;
  const type = headers.getKnown(ID_CONTENT_TYPE);
  if (isGrpc(type)) return 'grpc';
  if (isConnectStreaming(type)) return 'connect-streaming';
  return headers.has('connect-protocol-version') ? 'connect-unary' : undefined;
}
