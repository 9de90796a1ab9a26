import type { RequestHeaders, ResponseHeaders, TerminalHttpFilter, Trailers } from '@dragoman/core';
import type { ConnectionManagerConfig } from './config.ts';
import type { CompiledFilterChain, Direction } from './filter-chain.ts';
import type { PipelineSink } from './filter-pipeline.ts';
import { REPLY } from './replies.ts';

/** What the ends of the pipelines ask of their stream. */
export interface SinkStream {
  readonly config: ConnectionManagerConfig;
  readonly chain: CompiledFilterChain;
  readonly finished: boolean;
  /** A local reply has been made: the request goes nowhere any more. */
  readonly replying: boolean;
  /** The codec is on the stack with a piece of the request's body, and is told by the answer to stop. */
  readonly inRequestBody: boolean;
  reply(reply: (typeof REPLY)[keyof typeof REPLY]): void;
  pauseRequestBody(): void;
  resumeRequestBody(): void;
  onWritable(): void;
  encodeHeaders(headers: ResponseHeaders, endStream: boolean): void;
  encodeBody(chunk: Buffer, endStream: boolean, holdable: boolean): boolean;
  encodeTrailers(trailers: Trailers): void;
  takeAddedTrailers(direction: Direction): Trailers | undefined;
  /** The terminal filter is done with: nothing of its answer is wanted. */
  dropTerminal(): void;
  onBug(filterName: string, error: unknown): void;
}

/** Behind the last filter, on the request's way: the terminal filter. */
export class RequestSink implements PipelineSink<RequestHeaders> {
  private readonly stream: SinkStream;
  private readonly terminal: TerminalHttpFilter;

  constructor(stream: SinkStream, terminal: TerminalHttpFilter) {
    this.stream = stream;
    this.terminal = terminal;
  }

  get finished(): boolean {
    return this.stream.finished || this.stream.replying;
  }

  headers(headers: RequestHeaders, endStream: boolean): void {
    const { stream, terminal } = this;
    try {
      const added = endStream ? stream.takeAddedTrailers('request') : undefined;
      terminal.onRequestHeaders(headers, endStream && added === undefined);
      if (added !== undefined && !stream.finished) terminal.onRequestTrailers(added);
    } catch (error) {
      this.onTerminalBug(error);
    }
  }

  body(chunk: Buffer, endStream: boolean, holdable: boolean): boolean {
    const { stream } = this;
    let mayGoOn = true;
    try {
      mayGoOn = this.terminal.onRequestBody(chunk, endStream, holdable);
    } catch (error) {
      this.onTerminalBug(error);
    }
    // From a resumed filter there is no codec on the stack that could be told by the answer.
    if (!mayGoOn && !stream.inRequestBody) stream.pauseRequestBody();
    return mayGoOn;
  }

  trailers(trailers: Trailers): void {
    try {
      this.terminal.onRequestTrailers(trailers);
    } catch (error) {
      this.onTerminalBug(error);
    }
  }

  takeAddedTrailers(): Trailers | undefined {
    return this.stream.takeAddedTrailers('request');
  }

  onFilterError(filterName: string, error: unknown): void {
    this.stream.onBug(filterName, error);
  }

  onBufferOverflow(): void {
    this.stream.config.stats.rqTooLarge.inc();
    this.stream.reply(REPLY.requestTooLarge);
  }

  onBackPressure(stop: boolean): void {
    if (!stop) this.stream.resumeRequestBody();
    else if (!this.stream.inRequestBody) this.stream.pauseRequestBody();
  }

  /** A terminal filter that throws fails its stream, whoever is on the stack: a resumed filter, or a promise. */
  private onTerminalBug(error: unknown): void {
    this.stream.onBug(this.stream.chain.terminal.name, error);
  }
}

/** Behind the first filter, on the response's way: the codec. */
export class ResponseSink implements PipelineSink<ResponseHeaders> {
  private readonly stream: SinkStream;

  constructor(stream: SinkStream) {
    this.stream = stream;
  }

  get finished(): boolean {
    return this.stream.finished;
  }

  headers(headers: ResponseHeaders, endStream: boolean): void {
    this.stream.encodeHeaders(headers, endStream);
  }

  body(chunk: Buffer, endStream: boolean, holdable: boolean): boolean {
    return this.stream.encodeBody(chunk, endStream, holdable);
  }

  trailers(trailers: Trailers): void {
    this.stream.encodeTrailers(trailers);
  }

  takeAddedTrailers(): Trailers | undefined {
    return this.stream.takeAddedTrailers('response');
  }

  onFilterError(filterName: string, error: unknown): void {
    this.stream.onBug(filterName, error);
  }

  onBufferOverflow(): void {
    this.stream.config.stats.rsTooLarge.inc();
    this.stream.dropTerminal();
    this.stream.reply(REPLY.responseTooLarge);
  }

  onBackPressure(stop: boolean): void {
    if (!stop) this.stream.onWritable();
  }
}
